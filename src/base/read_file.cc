// Reading files, including files that others can change.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/plain_file.h"
#include "base/system_call.h"
#include "base/temporary.h"
#include "base/text.h"
#include "base/trusted_file.h"

namespace metaflow::base {

namespace {

constexpr std::size_t kMapFrom = 64 * 1024;
constexpr std::size_t kCopyFrom = 64 * 1024 * 1024;  // copies on disk instead of in memory

/// Whether others can truncate the file. Truncation of a mapped file kills its reader with SIGBUS.
bool can_be_cut_by_others(const struct stat& status) {
  if (status.st_uid != ::geteuid() && status.st_uid != 0) return true;
  if ((status.st_mode & S_IWOTH) != 0) return true;
  return (status.st_mode & S_IWGRP) != 0 && is_shared_group(status.st_gid, status.st_uid);
}

/// Nothing if the file system does not support it (some network and shared-folder file systems).
std::optional<SharedBytes> try_map_file(const Fd& fd, std::size_t size, const std::string& path) {
  // A page fault reads ahead, megabytes on some disks; this read loads little, namely the beginning, which is used
  // first. Errors are ignored: they occur again at the fault.
  if (size == 0) return SharedBytes();
  char first = 0;
  [[maybe_unused]] const ssize_t n = ::pread(fd.get(), &first, 1, 0);
  void* mapped = fails_at("map") ? MAP_FAILED : ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (mapped == MAP_FAILED && (errno == ENODEV || errno == EOPNOTSUPP)) return std::nullopt;
  if (mapped == MAP_FAILED) throw_errno("map", path, errno);
  std::shared_ptr<const void> owner(mapped, [size](const void* p) { ::munmap(const_cast<void*>(p), size); });
  return SharedBytes({static_cast<const std::byte*>(mapped), size}, std::move(owner));
}

/// Copies the bytes between two offsets. Returns the offset reached: less than `end` if the file ends earlier.
off_t copy_range(const Fd& fd, SpoolFile& copy, off_t begin, off_t end, const std::string& path) {
  constexpr off_t kPiece = 1 << 20;
  std::unique_ptr<std::byte[]> buffer;
  while (begin < end) {
    loff_t from = begin;
    loff_t to = begin;
    ssize_t n = -1;
    if (!buffer) {
      n = system_call("read", [&] {
        return ::copy_file_range(fd.get(), &from, copy.fd(), &to, static_cast<std::size_t>(end - begin), 0);
      });
    }
    if (n < 0) {  // another file system, or one without copy_file_range
      if (!buffer) buffer = std::make_unique_for_overwrite<std::byte[]>(kPiece);
      const auto most = static_cast<std::size_t>(std::min(end - begin, kPiece));
      n = system_call("read", [&] { return ::pread(fd.get(), buffer.get(), most, begin); });
      if (n < 0) throw_errno("read", path, errno);
      if (n > 0) copy.write({buffer.get(), static_cast<std::size_t>(n)}, static_cast<std::uint64_t>(begin));
    }
    if (n == 0) break;
    begin += n;
  }
  return begin;
}

/// A mapped copy that no other process can open; it may be larger than memory. It shares the file's blocks if the file
/// system supports that, and keeps holes: a file of many terabytes may use no block.
SharedBytes copy_file(const Fd& fd, off_t size, const std::string& path) {
  SpoolFile copy = make_temporary_file();
  for (off_t end = 0; end < size;) {
    off_t begin = ::lseek(fd.get(), end, SEEK_DATA);
    if (begin < 0 && errno == ENXIO) break;  // a hole until the end
    if (begin < 0) begin = end;
    const off_t hole = ::lseek(fd.get(), begin, SEEK_HOLE);
    end = hole < 0 ? size : std::min(hole, size);
    if (const off_t reached = copy_range(fd, copy, begin, end, path); reached < end) size = end = reached;
  }
  if (::ftruncate(copy.fd(), size) != 0) throw_errno("write a copy of", path, errno);
  auto mapped = try_map_file(Fd(copy.release()), static_cast<std::size_t>(size), path);
  if (!mapped) throw_errno("map a copy of", path, ENODEV);
  return std::move(*mapped);
}

struct stat examine(const Fd& fd, const std::string& path) {
  struct stat status {};
  if (fails_at("examine") || ::fstat(fd.get(), &status) != 0) throw_errno("examine", path, errno);
  return status;
}

std::optional<SharedBytes> read_examined(const Fd& fd, const struct stat& status, const std::string& path) {
  if (S_ISDIR(status.st_mode)) throw_errno("read", path, EISDIR);
  const auto size = static_cast<std::size_t>(status.st_size);
  const bool is_copied = can_be_cut_by_others(status);
  if (!is_copied && size >= kMapFrom) {
    if (auto mapped = try_map_file(fd, size, path)) return mapped;
  }
  if (size >= kCopyFrom) return copy_file(fd, status.st_size, path);
  // Special files have size 0: read until the end. Other files end at their size; one more byte is requested to detect
  // growth.
  std::string text(size == 0 ? 4096 : size + 1, '\0');
  std::size_t got = 0;
  while (got == 0 || got != size) {
    const ssize_t n = system_call("read", [&] { return ::read(fd.get(), text.data() + got, text.size() - got); });
    if (n < 0 && errno == ESRCH) return std::nullopt;  // in /proc, of a process that has just ended
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

// --- in directories that others may write to

namespace {

[[noreturn]] void refuse_plain(const std::string& path, std::string_view reason) {
  throw Error(ErrorCode::data_store, fmt::format("Cannot open '{}': it is {}", path, reason),
              fmt::format("Check its owner: ls -l {}", shell_quoted(path)));
}

struct PlainFile {
  Fd fd;  // not open, with errno: missing, or cannot be opened
  struct stat status {};
};

PlainFile open_plain(const std::string& path, int flags, const char* point) {
  // Non-blocking: opening a pipe would wait for the other end.
  PlainFile file{.fd = Fd(system_call(point, [&] {
                   return ::open(path.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
                 }))};
  if (!file.fd && errno == ELOOP) refuse_plain(path, "a link, not a file");
  if (!file.fd && errno == ENXIO) refuse_plain(path, "a pipe or a device, not a file");
  if (!file.fd) return file;
  file.status = examine(file.fd, path);
  const mode_t mode = file.status.st_mode;
  if (S_ISFIFO(mode) || S_ISSOCK(mode)) refuse_plain(path, "a pipe, not a file");
  if (S_ISCHR(mode) || S_ISBLK(mode)) refuse_plain(path, "a device, not a file");
  return file;
}

}  // namespace

std::optional<SharedBytes> read_plain_file(const std::string& path, std::uint64_t most) {
  const PlainFile file = open_plain(path, O_RDONLY, "open");
  if (file.fd && static_cast<std::uint64_t>(file.status.st_size) > most)
    refuse_plain(path, fmt::format("too large ({})", human_bytes(static_cast<std::uint64_t>(file.status.st_size))));
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
