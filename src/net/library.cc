#include "net/library.h"

#include <dlfcn.h>

#include <metaflow/error.h>

#include "base/format.h"

namespace metaflow::net {

Library::Library(const std::vector<std::string>& sonames, const std::string& purpose, const std::string& debian_package)
    : debian_package_(debian_package) {
  std::string why;
  for (const std::string& soname : sonames) {
    handle_ = ::dlopen(soname.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_ != nullptr) {
      soname_ = soname;
      return;
    }
    if (why.empty()) why = ::dlerror();
  }
  throw Error(ErrorCode::invalid_command, fmt::format("Cannot load {} for {}: {}", sonames.front(), purpose, why),
              fmt::format("On Debian and Ubuntu: apt install {}", debian_package));
}

void* Library::address(const char* name) const {
  void* found = ::dlsym(handle_, name);
  if (found == nullptr)
    throw Error(ErrorCode::invalid_command, fmt::format("{} is too old: it has no function {}", soname_, name),
                fmt::format("On Debian and Ubuntu: apt install {}", debian_package_));
  return found;
}

}  // namespace metaflow::net
