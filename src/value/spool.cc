#include "value/spool.h"

#include "base/temporary.h"

namespace metaflow::value {

namespace {

std::string& directory() {
  static std::string path;
  return path;
}

}  // namespace

void set_spool_directory(std::string path) { directory() = std::move(path); }

base::Fd open_spool_file() {
  base::SpoolFile file = directory().empty() ? base::make_temporary_file() : base::SpoolFile(directory());
  return file.release();
}

}  // namespace metaflow::value
