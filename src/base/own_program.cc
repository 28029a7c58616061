// The executable file of this process, and the command that starts it again.
#include <link.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/process.h"
#include "base/text.h"

namespace metaflow::base {

namespace {

constexpr const char* kImage = "/proc/self/exe";

/// The path of the executable according to the kernel, as read by the first call.
const std::optional<std::string>& image_path() {
  static const std::optional<std::string> kPath = []() -> std::optional<std::string> {
    std::array<char, PATH_MAX> path;
    const ssize_t length = ::readlink(kImage, path.data(), path.size() - 1);
    if (length < 0) return std::nullopt;
    std::string_view text(path.data(), static_cast<std::size_t>(length));
    // The file has already been removed or replaced: use its former path.
    constexpr std::string_view kGone = " (deleted)";
    if (text.ends_with(kGone) && !exists(std::string(text))) text.remove_suffix(kGone.size());
    return std::string(text);
  }();
  return kPath;
}

/// Only a heuristic, which saves most programs a look at their memory maps: a program with such a name need not be a
/// loader.
bool is_named_like_a_loader(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return name.starts_with("ld-") || name.starts_with("ld.so") || name.starts_with("ld64.so");
}

/// The file from which the main program, the first loaded object, was mapped.
std::optional<std::string> mapped_program() {
  std::uintptr_t inside = 0;
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* found) {
        *static_cast<std::uintptr_t*>(found) = reinterpret_cast<std::uintptr_t>(info->dlpi_phdr);
        return 1;
      },
      &inside);
  const auto maps = try_read_file("/proc/self/maps");
  if (!maps) return std::nullopt;
  for (const std::string& line : split(maps->text(), '\n')) {  // begin-end permissions offset device inode path
    char* rest = nullptr;
    const std::uintptr_t begin = std::strtoull(line.c_str(), &rest, 16);
    if (*rest != '-') continue;
    const std::uintptr_t end = std::strtoull(rest + 1, nullptr, 16);
    const std::size_t path = line.find('/');
    if (inside >= begin && inside < end && path != std::string::npos) return line.substr(path);
  }
  return std::nullopt;
}

/// Without /proc: the path that was passed to execve; a loader puts the path of its program there.
std::string executed_path() {
  const auto* const path = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
  if (path == nullptr || *path == '\0') throw_errno("find", "this executable", ENOENT);
  return absolute_path(path);
}

}  // namespace

std::string own_executable() {
  static const std::string kPath = [] {
    const auto& image = image_path();
    if (!image) return executed_path();
    if (!is_named_like_a_loader(*image)) return *image;
    return mapped_program().value_or(*image);
  }();
  return kPath;
}

std::string own_image() {
  const auto& image = image_path();
  return image && !is_named_like_a_loader(*image) ? kImage : own_executable();
}

std::vector<std::string> own_command() {
  const auto& image = image_path();
  if (image && !is_named_like_a_loader(*image)) return {*image};
  const std::string program = own_executable();
  if (image && *image == program) return {program};
  // In a package the loader is lib/ld.so and the program bin/flow.
  const std::string libraries = directory_of(directory_of(program)) + "/lib";
  const std::string bundled = libraries + "/ld.so";
  if (image ? *image != bundled : !exists(bundled)) return image ? std::vector{*image, program} : std::vector{program};
  const char* const more = std::getenv("LD_LIBRARY_PATH");  // --library-path would hide it
  return {bundled, "--library-path", more != nullptr && *more != '\0' ? libraries + ":" + more : libraries, program};
}

}  // namespace metaflow::base
