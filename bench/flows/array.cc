// A large array: saved, read from the page cache, read from the disk.
#include <metaflow/metaflow.h>

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <numeric>

#include "stamp.h"

namespace mf = metaflow;

namespace {

struct Array : mf::FlowSpec<Array> {
  mf::Parameter<std::size_t> mib{{.value = 1024, .help = "Size of the array in MiB."}};
  mf::Array<double> data;
  double first = 0;
  double total = 0;

  void start() {
    data = mf::Array<double>::zeros({*mib * 1024 * 1024 / sizeof(double)});
    std::uint64_t state = 1;  // random: not compressible, no equal chunks
    for (double& x : data.edit()) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      x = static_cast<double>(state >> 11) * 0x1p-53;
    }
    stamp("made");
  }

  void warm() {
    stamp("warm");
    read("warm");
  }

  /// Drops the store from the page cache.
  void evict() {
    const char* root = std::getenv("METAFLOW_DATASTORE_SYSROOT_LOCAL");
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      if (!entry.is_regular_file() || entry.file_size() < 1024 * 1024) continue;
      const int fd = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
      ::fsync(fd);
      ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
      ::close(fd);
    }
  }

  void cold() {
    stamp("cold");
    read("cold");
  }

  void end() {}

  void read(const std::string& name) {
    first = data[0];
    stamp((name + "_first").c_str());
    total = std::accumulate(data.begin(), data.end(), 0.0);
    stamp((name + "_total").c_str());
  }

  static auto graph() {
    using A = Array;
    return mf::graph(mf::step<&A::start>(mf::next<&A::warm>), mf::step<&A::warm>(mf::next<&A::evict>),
                     mf::step<&A::evict>(mf::next<&A::cold>), mf::step<&A::cold>(mf::next<&A::end>),
                     mf::step<&A::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Array>(argc, argv); }
