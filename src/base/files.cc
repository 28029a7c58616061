#include "base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>

#include <metaflow/error.h>

#include "base/failure_points.h"
#include "base/file_mode.h"
#include "base/file_tree.h"
#include "base/format.h"
#include "base/no_space.h"
#include "base/plain_file.h"
#include "base/system_call.h"

namespace metaflow::base {

namespace {

constexpr std::string_view kStoreElsewhere = ", or put the store elsewhere with METAFLOW_DATASTORE_SYSROOT_LOCAL.";

std::string or_elsewhere(std::string_view advice) { return fmt::format("{}{}", advice, kStoreElsewhere); }

std::string temporary_name(const std::string& directory) {
  static std::atomic<unsigned> counter{0};
  return fmt::format("{}/.mf-{}-{}.tmp", directory, ::getpid(), counter.fetch_add(1));
}

void write_parts(int fd, Parts parts, const std::string& path) {
  std::array<iovec, 64> chunk;
  std::size_t next = 0;
  std::size_t skip = 0;  // bytes of parts[next] already written
  while (next < parts.size()) {
    std::size_t count = 0;
    for (std::size_t i = next; i < parts.size() && count < chunk.size(); ++i, ++count) {
      const std::size_t from = i == next ? skip : 0;
      chunk[count] = {const_cast<std::byte*>(parts[i].data()) + from, parts[i].size() - from};
    }
    const ssize_t written = system_call("write", [&] { return ::writev(fd, chunk.data(), static_cast<int>(count)); });
    if (written < 0) throw_errno("write", path, errno);
    auto left = static_cast<std::size_t>(written);
    while (next < parts.size() && left >= parts[next].size() - skip) {
      left -= parts[next].size() - skip;
      skip = 0;
      ++next;
    }
    skip += left;
  }
}

int open_nameless(const std::string& directory, mode_t mode) {
  return system_call("create", [&] { return ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, mode); });
}

bool nameless_unsupported(int error) {
  return error == EOPNOTSUPP || error == EISDIR || error == EINVAL || error == ENOSYS;
}

}  // namespace

void Fd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

void throw_errno(std::string_view operation, std::string_view path, int error) {
  std::string hint;
  switch (error) {
    case ENOSPC:
    case EDQUOT: hint = or_elsewhere("Free some space"); break;
    case EROFS:
    case EACCES:
    case EPERM: hint = or_elsewhere("Check the permissions"); break;
    case EFBIG: hint = or_elsewhere("Raise the file size limit (ulimit -f)"); break;
    case ESTALE: hint = or_elsewhere("The file server no longer has it: remount the file system"); break;
    case EMFILE:
    case ENFILE: hint = "Raise the limit of open files (ulimit -n) or lower --max-workers."; break;
    case EAGAIN:
      hint = "Raise the limit of processes (ulimit -u; of a container: pids.max of its cgroup) or lower --max-workers.";
      break;
    case ENOMEM: hint = "Free some memory or lower --max-workers."; break;
    case ENAMETOOLONG: hint = "Put the store into a directory with a shorter path."; break;
    default: break;
  }
  const std::string message = fmt::format("Cannot {} '{}': {}", operation, path, std::strerror(error));
  if (error == ENOSPC || error == EDQUOT) throw NoSpace(ErrorCode::data_store, message, hint);
  throw Error(ErrorCode::data_store, message, hint);
}

bool link_open_file(int fd, const std::string& path) {
  std::array<char, 32> link;
  std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", fd);
  if (!fails_at("publish") && ::linkat(AT_FDCWD, link.data(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0)
    return true;
  if (errno == EEXIST) return false;
  const int error = errno;
  if (error == ENOENT && !exists(directory_of(path))) {
    make_directories(directory_of(path));
    return link_open_file(fd, path);
  }
  throw_errno("create", path, error);
}

SpoolFile::SpoolFile(const std::string& directory, Missing missing) : directory_(directory) {
  // A file in a store, whose directories are created, is also for others. Any other file is private, since it may have
  // a name by which others could open it.
  const mode_t mode = missing == Missing::is_made ? 0666 : kPrivate;
  fd_.reset(open_nameless(directory, mode));
  if (!fd_ && errno == ENOENT && missing == Missing::is_made) {
    make_directories(directory);
    fd_.reset(open_nameless(directory, mode));
  }
  if (!fd_ && (nameless_unsupported(errno) || ::access("/proc/self/fd", F_OK) != 0)) {
    temporary_ = temporary_name(directory);
    fd_.reset(
        system_call("create", [&] { return ::open(temporary_.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, mode); }));
  }
  if (!fd_) throw_errno("create a file in", directory, errno);
}

SpoolFile::~SpoolFile() {
  if (fd_ && !temporary_.empty()) ::unlink(temporary_.c_str());
}

void SpoolFile::write(std::span<const std::byte> bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = system_call(
        "write", [&] { return ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
    if (n < 0) throw_errno("write a file in", directory_, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
}

bool SpoolFile::publish(const std::string& path) {
  if (temporary_.empty()) return link_open_file(fd_.get(), path);
  while (fails_at("publish") || ::link(temporary_.c_str(), path.c_str()) != 0) {
    if (errno == EEXIST) return false;
    if (errno == ENOENT && !exists(directory_of(path))) {
      make_directories(directory_of(path));
    } else if (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS || errno == EMLINK) {
      return publish_by_rename(path);
    } else {
      throw_errno("create", path, errno);
    }
  }
  return true;
}

bool SpoolFile::publish_by_rename(const std::string& path) {
  const bool renamed = !fails_at("rename") && ::syscall(SYS_renameat2, AT_FDCWD, temporary_.c_str(), AT_FDCWD,
                                                        path.c_str(), RENAME_NOREPLACE) == 0;
  if (!renamed) {
    if (errno == EEXIST) return false;
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) throw_errno("create", path, errno);
    // An empty file reserves the name first. A crash may leave it there, as a power loss does.
    const Fd empty(
        system_call("create", [&] { return ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666); }));
    if (!empty && errno == EEXIST) return false;
    if (!empty) throw_errno("create", path, errno);
    if (fails_at("replace") || ::rename(temporary_.c_str(), path.c_str()) != 0) {
      const int error = errno;
      ::unlink(path.c_str());
      throw_errno("create", path, error);
    }
  }
  temporary_.clear();
  return true;
}

Fd SpoolFile::release() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  temporary_.clear();
  return std::move(fd_);
}

bool create_file(const std::string& path, Parts parts) {
  SpoolFile file(directory_of(path));
  write_parts(file.fd(), parts, path);
  return file.publish(path);
}

bool create_file(const std::string& path, std::string_view text) {
  const std::span<const std::byte> part = std::as_bytes(std::span(text.data(), text.size()));
  return create_file(path, Parts(&part, 1));
}

namespace {

/// `mode`: nothing: the mode that the umask allows.
void put_in_place(const std::string& path, Parts parts, std::optional<mode_t> mode) {
  const std::string directory = directory_of(path);
  const std::string temporary = temporary_name(directory);
  auto open = [&] {
    return system_call("create", [&] {
      return ::open(temporary.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode ? mode_t{0600} : mode_t{0666});
    });
  };
  Fd fd(open());
  if (!fd && errno == ENOENT) {
    make_directories(directory);
    fd.reset(open());
  }
  if (!fd) throw_errno("create", path, errno);
  try {
    if (mode && ::fchmod(fd.get(), *mode) != 0) throw_errno("create", path, errno);
    write_parts(fd.get(), parts, path);
    if (fails_at("replace") || ::rename(temporary.c_str(), path.c_str()) != 0) throw_errno("replace", path, errno);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

}  // namespace

void replace_file(const std::string& path, Parts parts) { put_in_place(path, parts, std::nullopt); }

void replace_file(const std::string& path, std::string_view text) {
  const std::span<const std::byte> part = std::as_bytes(std::span(text.data(), text.size()));
  replace_file(path, Parts(&part, 1));
}

void replace_file(const std::string& path, Parts parts, mode_t mode) { put_in_place(path, parts, mode); }

void replace_file(const std::string& path, std::string_view text, mode_t mode) {
  const std::span<const std::byte> part = std::as_bytes(std::span(text.data(), text.size()));
  replace_file(path, Parts(&part, 1), mode);
}

namespace {

void write_output(const std::string& path, Parts parts) {
  if (!exists(directory_of(path))) throw_errno("write", path, ENOENT);
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return replace_file(path, parts);
  // Keeps the mode: a file that others cannot read must stay unreadable for them.
  if (S_ISREG(status.st_mode)) return replace_file(path, parts, status.st_mode & 0777U);
  const Fd fd(
      system_call("create", [&] { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666); }));
  if (!fd) throw_errno("open", path, errno);
  write_parts(fd.get(), parts, path);
}

}  // namespace

void write_output_file(const std::string& path, Parts parts) {
  try {
    write_output(path, parts);
  } catch (const Error& error) {  // advice about the store does not apply here
    const std::string_view hint = error.hint();
    if (!hint.ends_with(kStoreElsewhere)) throw;
    const std::string_view advice = hint.substr(0, hint.size() - kStoreElsewhere.size());
    throw Error(error.code(), error.message(), fmt::format("{}.", advice));
  }
}

void write_output_file(const std::string& path, std::string_view text) {
  const std::span<const std::byte> part = std::as_bytes(std::span(text.data(), text.size()));
  write_output_file(path, Parts(&part, 1));
}

bool link_file(const std::string& existing, const std::string& path) {
  return (!fails_at("link") && ::link(existing.c_str(), path.c_str()) == 0) || errno == EEXIST;
}

Fd open_to_append(const std::string& path) { return open_plain_file(path, O_CREAT | O_WRONLY | O_APPEND); }

void append(const Fd& fd, const std::string& path, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = system_call("append", [&] { return ::write(fd.get(), text.data(), text.size()); });
    if (n < 0) throw_errno("write", path, errno);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

bool make_directory(const std::string& path) {
  if (!fails_at("mkdir") && ::mkdir(path.c_str(), 0777) == 0) return true;
  if (errno == EEXIST) return false;
  if (errno == ENOENT && path != directory_of(path)) {
    make_directories(directory_of(path));
    return make_directory(path);
  }
  throw_errno("create the directory", path, errno);
}

void make_directories(const std::string& path) {
  if ((!fails_at("mkdir") && ::mkdir(path.c_str(), 0777) == 0) || errno == EEXIST) return;
  const std::string parent = directory_of(path);
  if (errno != ENOENT || parent == path) throw_errno("create the directory", path, errno);
  make_directories(parent);
  if (::mkdir(path.c_str(), 0777) != 0 && errno != EEXIST) throw_errno("create the directory", path, errno);
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::optional<bool> is_directory(const std::string& path) {
  struct stat status {};
  if (!fails_at("examine") && ::stat(path.c_str(), &status) == 0) return S_ISDIR(status.st_mode);
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  throw_errno("examine", path, errno);
}

std::optional<std::uint64_t> file_size(const std::string& path) {
  struct stat status {};
  if (!fails_at("examine") && ::stat(path.c_str(), &status) == 0) return static_cast<std::uint64_t>(status.st_size);
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  throw_errno("examine", path, errno);
}

std::vector<std::string> list_directory(const std::string& path) {
  return list_open_directory(Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), path);
}

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string current_directory() {
  std::array<char, PATH_MAX> buffer;
  if (::getcwd(buffer.data(), buffer.size()) == nullptr) {
    if (errno != ENOENT) throw_errno("find", "the current directory", errno);
    throw Error(ErrorCode::data_store, "Cannot find the current directory: it was deleted",
                "Change to an existing directory: cd");
  }
  return buffer.data();
}

std::string absolute_path(const std::string& path) {
  std::string full = path.starts_with('/') ? path : current_directory() + "/" + path;
  std::vector<std::string> kept;
  std::size_t begin = 0;
  while (begin <= full.size()) {
    std::size_t end = full.find('/', begin);
    if (end == std::string::npos) end = full.size();
    const std::string part = full.substr(begin, end - begin);
    if (part == ".." && !kept.empty()) {
      kept.pop_back();
    } else if (!part.empty() && part != "." && part != "..") {
      kept.push_back(part);
    }
    begin = end + 1;
  }
  std::string result;
  for (const std::string& part : kept) result += "/" + part;
  return result.empty() ? "/" : result;
}

void sync_file_system(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd && !fails_at("sync")) ::syncfs(fd.get());
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = system_call("output", [&] { return ::write(fd, text.data(), text.size()); });
    if (n < 0 && errno == EPIPE && fd == 1) throw OutputClosed{};
    if (n < 0) throw_errno("write", "output", errno);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

}  // namespace metaflow::base
