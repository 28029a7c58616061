#include "base/file_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

#include <metaflow/error.h>

#include "base/failure_points.h"
#include "base/format.h"
#include "base/system_call.h"
#include "base/text.h"

namespace metaflow::base {

namespace {

constexpr int kDeepest = 64;  // of a tree; each level keeps a descriptor open

bool is_missing(int error) { return error == ENOENT || error == ENOTDIR; }

FileStatus to_status(const struct stat& status) {
  return FileStatus{S_ISDIR(status.st_mode), S_ISREG(status.st_mode), static_cast<std::uint64_t>(status.st_size),
                    status.st_mtim.tv_sec * 1'000'000 + status.st_mtim.tv_nsec / 1000};
}

// The following functions get a name in an open directory, and its whole path for messages.

std::optional<FileStatus> status_at(int directory, const char* name, const std::string& path) {
  struct stat status {};
  if (fails_at("examine") || ::fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (is_missing(errno)) return std::nullopt;
    throw_errno("examine", path, errno);
  }
  return to_status(status);
}

/// Not open if the directory does not exist.
Fd open_directory_at(const Fd& directory, const char* name, const std::string& path) {
  Fd opened(system_call(
      "list", [&] { return ::openat(directory.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); }));
  if (opened) return opened;
  const int error = errno;
  struct stat status {};
  if (::fstatat(directory.get(), name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode)) {
    throw Error(ErrorCode::data_store,
                fmt::format("Cannot open '{}': it is a link, and might lead out of the store", visible(path)),
                fmt::format("Check its owner: ls -l {}. If the link is yours, put its directory in its place, or the "
                            "whole store elsewhere with METAFLOW_DATASTORE_SYSROOT_LOCAL.",
                            shell_quoted(path)));
  }
  if (!is_missing(error)) throw_errno("list", path, error);
  return opened;
}

std::vector<std::string> names_in(const Fd& directory, const std::string& path) {
  return list_open_directory(Fd(::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), path);
}

void check_depth(int depth, const std::string& path) {
  if (depth > kDeepest)
    throw Error(ErrorCode::data_store, fmt::format("Cannot list '{}': it is nested too deeply", visible(path)));
}

bool remove_at(const Fd& directory, const char* name, int flags, const std::string& path) {
  if (!fails_at("remove") && ::unlinkat(directory.get(), name, flags) == 0) return true;
  if (errno == ENOENT) return false;
  throw_errno("remove", path, errno);
}

bool remove_tree_at(const Fd& directory, const std::string& name, const std::string& path, int depth);

/// Returns whether nothing is left.
bool remove_content(const Fd& directory, const std::string& path, int depth) {
  check_depth(depth, path);
  bool is_empty = true;
  for (const std::string& name : names_in(directory, path))
    is_empty = remove_tree_at(directory, name, path + "/" + name, depth) && is_empty;
  return is_empty;
}

bool remove_tree_at(const Fd& directory, const std::string& name, const std::string& path, int depth) {
  const auto status = status_at(directory.get(), name.c_str(), path);
  if (!status) return true;
  if (!status->is_directory) {
    remove_at(directory, name.c_str(), 0, path);
    return true;
  }
  bool is_empty = true;
  if (const Fd below = open_directory_at(directory, name.c_str(), path))
    is_empty = remove_content(below, path, depth + 1);
  if (!fails_at("remove") && ::unlinkat(directory.get(), name.c_str(), AT_REMOVEDIR) == 0) return is_empty;
  if (is_missing(errno)) return is_empty;
  if (errno == ENOTEMPTY || errno == EEXIST) return false;
  throw_errno("remove", path, errno);
}

using Visit = std::function<void(std::string&&, const FileStatus&)>;

void walk_directory(const Fd& directory, const std::string& root, const std::string& path, const Visit& visit,
                    int depth) {
  check_depth(depth, path);
  for (const std::string& name : names_in(directory, root + "/" + path)) {
    std::string below = path.empty() ? name : path + "/" + name;
    const auto status = status_at(directory.get(), name.c_str(), root + "/" + below);
    if (!status || !status->is_directory) {
      if (status && status->is_file) visit(std::move(below), *status);
      continue;
    }
    if (const Fd opened = open_directory_at(directory, name.c_str(), root + "/" + below))
      walk_directory(opened, root, below, visit, depth + 1);
  }
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }
std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

}  // namespace

std::vector<std::string> list_open_directory(Fd opened, const std::string& path) {
  std::vector<std::string> names;
  DIR* directory = !opened || fails_at("list") ? nullptr : ::fdopendir(opened.get());
  if (directory == nullptr) {
    if (errno == ENOENT || errno == ENOTDIR) return names;
    throw_errno("list", path, errno);
  }
  opened.release();
  const std::unique_ptr<DIR, int (*)(DIR*)> owner(directory, &::closedir);
  while (true) {
    errno = 0;
    const dirent* entry = fails_at("list") ? nullptr : ::readdir(directory);
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  // A partial list would be taken for the whole directory. (ENOENT: it was removed meanwhile.)
  if (errno != 0 && errno != ENOENT) throw_errno("list", path, errno);
  return names;
}

std::optional<FileStatus> file_status(const std::string& path) { return status_at(AT_FDCWD, path.c_str(), path); }

/// Not open if the directory does not exist.
Fd FileTree::open_directory(const std::string& path) const {
  Fd directory(system_call("list", [&] { return ::open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!directory && !is_missing(errno)) throw_errno("list", root_, errno);
  for (std::size_t begin = 0; directory && begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    directory = open_directory_at(directory, path.substr(begin, end - begin).c_str(), full(path.substr(0, end)));
    begin = end + 1;
  }
  return directory;
}

void FileTree::walk(const std::string& path, const Visit& visit) const {
  if (const Fd directory = open_directory(path)) walk_directory(directory, root_, path, visit, 0);
}

bool FileTree::remove_file(const std::string& path) const {
  const Fd parent = open_directory(parent_of(path));
  return parent && remove_at(parent, name_of(path).c_str(), 0, full(path));
}

bool FileTree::remove_tree(const std::string& path) const {
  const Fd parent = open_directory(parent_of(path));
  return !parent || remove_tree_at(parent, name_of(path), full(path), 0);
}

bool FileTree::rename_file(const std::string& path, const std::string& new_name) const {
  const Fd parent = open_directory(parent_of(path));
  if (!parent) return false;
  if (!fails_at("rename") && ::renameat(parent.get(), name_of(path).c_str(), parent.get(), new_name.c_str()) == 0)
    return true;
  if (is_missing(errno)) return false;
  throw_errno("rename", full(path), errno);
}

void FileTree::restore_file(const std::string& path, const std::string& former_name) const {
  const Fd parent = open_directory(parent_of(path));
  if (!parent) return;
  const std::string name = name_of(path);
  const bool linked =
      !fails_at("link") && ::linkat(parent.get(), name.c_str(), parent.get(), former_name.c_str(), 0) == 0;
  if (linked || errno == EEXIST) {
    remove_at(parent, name.c_str(), 0, full(path));
  } else {  // a file system without hard links; a file that appears in this moment is replaced
    rename_file(path, former_name);
  }
}

Touched touch_file(const std::string& path) {
  if (!fails_at("touch") && ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0) == 0) return Touched::yes;
  if (is_missing(errno)) return Touched::missing;
  if (errno == EPERM || errno == EACCES || errno == EROFS) return Touched::not_permitted;
  throw_errno("touch", path, errno);
}

}  // namespace metaflow::base
