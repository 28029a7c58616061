// Objects to S3 and back by mf::S3, for comparison with other clients: s3_bench put|get ROOT COUNT BYTES.
// Prints the seconds that it took.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include <metaflow/s3.h>

namespace mf = metaflow;

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: s3_bench put|get ROOT COUNT BYTES\n");
    return 2;
  }
  const bool put = std::string(argv[1]) == "put";
  const std::size_t count = std::strtoull(argv[3], nullptr, 10);
  std::string content(std::strtoull(argv[4], nullptr, 10), '\0');
  std::minstd_rand random;
  for (char& c : content) c = static_cast<char>(random());
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.push_back("object-" + std::to_string(i));

  try {
    mf::S3 s3(argv[2]);
    const auto began = std::chrono::steady_clock::now();
    if (put) {
      std::vector<std::pair<std::string, std::string_view>> objects;
      for (const std::string& name : names) objects.emplace_back(name, content);
      s3.put_many(objects);
    } else {
      constexpr std::size_t kAtOnce = 256UL << 20U;  // bytes in memory
      const std::size_t step = std::max<std::size_t>(1, kAtOnce / std::max<std::size_t>(1, content.size()));
      std::size_t bytes = 0;
      for (std::size_t i = 0; i < count; i += step) {
        const std::vector<std::string> some(names.begin() + static_cast<std::ptrdiff_t>(i),
                                            names.begin() + static_cast<std::ptrdiff_t>(std::min(count, i + step)));
        for (const mf::S3Object& object : s3.get_many(some)) bytes += object.size();
      }
      if (bytes != count * content.size()) {
        std::fprintf(stderr, "s3_bench: %zu bytes came\n", bytes);
        return 1;
      }
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf("%.6f\n", took.count());
  } catch (const mf::Error& error) {
    std::fprintf(stderr, "s3_bench: %s\n", error.what());
    return 1;
  }
}
