#include "base/temporary.h"

#include <fcntl.h>
#include <stdlib.h>

#include <cerrno>
#include <vector>

#include <metaflow/error.h>

namespace metaflow::base {

namespace {

std::vector<std::string> places() {
  constexpr const char* kUsual = "/tmp";
  const char* const named = std::getenv("TMPDIR");
  if (named == nullptr || *named == '\0' || std::string_view(named) == kUsual) return {kUsual};
  return {named, kUsual};
}

/// Makes an object in the first directory where it is possible. An error is that of the directory that the user chose.
template <class Make>
auto make_somewhere(Make make) {
  std::string why;
  for (const std::string& place : places()) {
    try {
      return make(place);
    } catch (const Error& error) {
      if (why.empty()) why = error.message();
    }
  }
  throw Error(ErrorCode::data_store, why, "Set TMPDIR to a writable directory with free space.");
}

}  // namespace

SpoolFile make_temporary_file(std::uint64_t size) {
  return make_somewhere([size](const std::string& place) {
    SpoolFile file(place, SpoolFile::Missing::is_an_error);
    const int error = size == 0 ? 0 : ::posix_fallocate(file.fd(), 0, static_cast<off_t>(size));
    if (error != 0) throw_errno("write a large temporary file in", place, error);
    return file;
  });
}

std::string make_temporary_directory(const std::string& prefix) {
  return make_somewhere([&prefix](const std::string& place) {
    std::string name = place + "/" + prefix + "XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw_errno("create a directory like", name, errno);
    return name;
  });
}

}  // namespace metaflow::base
