// Reading files, and who may have made them.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/plain_file.h"
#include "base/system_call.h"
#include "base/text.h"

namespace metaflow::base {

namespace {

constexpr std::size_t kMapFrom = 64 * 1024;
constexpr std::size_t kCopyUpTo = 256 * 1024 * 1024;  // bytes, of a file of somebody else

/// Who can make a mapped file shorter can end its reader, by SIGBUS. So what belongs to others is copied, up to a size
/// at which a copy would cost more than that risk.
bool is_mapped(const struct stat& status) {
  if (static_cast<std::size_t>(status.st_size) < kMapFrom) return false;
  const bool is_ours = status.st_uid == ::geteuid() || status.st_uid == 0;
  return is_ours || static_cast<std::size_t>(status.st_size) > kCopyUpTo;
}

SharedBytes map_file(const Fd& fd, std::size_t size, const std::string& path) {
  // A fault on a page that is not in memory reads all around it, megabytes if the disk is set so; reading brings in
  // little, and the begin is what is looked at first. An error would come again with the fault.
  char first = 0;
  [[maybe_unused]] const ssize_t n = ::pread(fd.get(), &first, 1, 0);
  void* mapped = fails_at("map") ? MAP_FAILED : ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (mapped == MAP_FAILED) throw_errno("map", path, errno);
  std::shared_ptr<const void> owner(mapped, [size](const void* p) { ::munmap(const_cast<void*>(p), size); });
  return SharedBytes({static_cast<const std::byte*>(mapped), size}, std::move(owner));
}

struct stat examine(const Fd& fd, const std::string& path) {
  struct stat status {};
  if (fails_at("examine") || ::fstat(fd.get(), &status) != 0) throw_errno("examine", path, errno);
  return status;
}

std::optional<SharedBytes> read_examined(const Fd& fd, const struct stat& status, const std::string& path) {
  if (S_ISDIR(status.st_mode)) throw_errno("read", path, EISDIR);
  const auto size = static_cast<std::size_t>(status.st_size);
  if (is_mapped(status)) return map_file(fd, size, path);
  // Special files say size 0; read until the end. That of others is where their size says, if no byte more comes with
  // it.
  std::string text(size == 0 ? 4096 : size + 1, '\0');
  std::size_t got = 0;
  while (got == 0 || got != size) {
    const ssize_t n = system_call("read", [&] { return ::read(fd.get(), text.data() + got, text.size() - got); });
    if (n < 0 && errno == ESRCH) return std::nullopt;  // in /proc, of a process that has just gone
    if (n < 0) throw_errno("read", path, errno);
    if (n == 0) break;
    got += static_cast<std::size_t>(n);
    if (got == text.size()) text.resize(text.size() * 2);
  }
  text.resize(got);
  return SharedBytes(std::move(text));
}

}  // namespace

std::optional<SharedBytes> read_file(const std::string& path) {
  const Fd fd(system_call("open", [&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
  if (fd) return read_open_file(fd, path);
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  throw_errno("open", path, errno);
}

std::optional<SharedBytes> read_open_file(const Fd& fd, const std::string& path) {
  return read_examined(fd, examine(fd, path), path);
}

std::optional<SharedBytes> try_read_file(const std::string& path) {
  try {
    return read_file(path);
  } catch (const Error&) {
    return std::nullopt;
  }
}

// --- in places that others may write to

namespace {

[[noreturn]] void refuse_plain(const std::string& path, std::string_view what) {
  throw Error(ErrorCode::data_store, fmt::format("Cannot open '{}': it is {}, not a file", path, what),
              fmt::format("Look who made it: ls -l {}", shell_quoted(path)));
}

struct PlainFile {
  Fd fd;  // not open, with errno: there is nothing, or what there is cannot be opened
  struct stat status {};
};

PlainFile open_plain(const std::string& path, int flags, const char* point) {
  // Not blocking: who opens a pipe would wait for the other end.
  PlainFile file{.fd = Fd(system_call(point, [&] {
                   return ::open(path.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
                 }))};
  if (!file.fd && errno == ELOOP) refuse_plain(path, "a link");
  if (!file.fd && errno == ENXIO) refuse_plain(path, "a pipe or a device");
  if (!file.fd) return file;
  file.status = examine(file.fd, path);
  const mode_t mode = file.status.st_mode;
  if (S_ISFIFO(mode) || S_ISSOCK(mode)) refuse_plain(path, "a pipe");
  if (S_ISCHR(mode) || S_ISBLK(mode)) refuse_plain(path, "a device");
  return file;
}

}  // namespace

std::optional<SharedBytes> read_plain_file(const std::string& path) {
  const PlainFile file = open_plain(path, O_RDONLY, "open");
  if (file.fd) return read_examined(file.fd, file.status, path);
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  throw_errno("open", path, errno);
}

Fd open_plain_file(const std::string& path, int flags) {
  PlainFile file = open_plain(path, flags, (flags & O_APPEND) != 0 ? "append" : "create");
  if (!file.fd) throw_errno("open", path, errno);
  return std::move(file.fd);
}

}  // namespace metaflow::base
