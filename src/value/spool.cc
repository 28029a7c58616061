#include "value/spool.h"

#include <cstdlib>

namespace metaflow::value {

namespace {

std::string& directory() {
  static std::string path = [] {
    const char* tmpdir = std::getenv("TMPDIR");
    return std::string(tmpdir != nullptr && *tmpdir != '\0' ? tmpdir : "/tmp");
  }();
  return path;
}

}  // namespace

void set_spool_directory(std::string path) { directory() = std::move(path); }

base::Fd open_spool_file() {
  base::SpoolFile file(directory());
  return file.release();
}

}  // namespace metaflow::value
