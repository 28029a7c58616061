// Gives every file of the corpus to the reader that its directory is named after: a test that needs no fuzzer.
// usage: fuzz_corpus DIRECTORY
#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "readers.h"

namespace fs = std::filesystem;

namespace {

std::size_t replay(const metaflow::fuzz::Reader& reader, const fs::path& directory) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(directory)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const fs::path& path : files) {
    std::fprintf(stderr, "%s\n", path.c_str());  // the last one is to blame if this ends
    std::ifstream file(path, std::ios::binary);
    const std::string input{std::istreambuf_iterator<char>(file), {}};
    reader.take(input);
  }
  return files.size();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_corpus DIRECTORY\n");
    return 2;
  }
  try {
    for (const auto& reader : metaflow::fuzz::readers()) {
      const std::size_t count = replay(reader, fs::path(argv[1]) / reader.name);
      std::printf("%.*s: %zu inputs\n", static_cast<int>(reader.name.size()), reader.name.data(), count);
      if (count == 0) return 1;
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
