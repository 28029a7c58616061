#include "base/file_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/failure_points.h"
#include "base/files.h"

namespace metaflow::base {

namespace {

bool is_missing(int error) { return error == ENOENT || error == ENOTDIR; }

}  // namespace

std::optional<FileStatus> file_status(const std::string& path) {
  struct stat status {};
  if (fails_at("examine") || ::lstat(path.c_str(), &status) != 0) {
    if (is_missing(errno)) return std::nullopt;
    throw_errno("examine", path, errno);
  }
  return FileStatus{S_ISDIR(status.st_mode), S_ISREG(status.st_mode), static_cast<std::uint64_t>(status.st_size),
                    status.st_mtim.tv_sec * 1'000'000 + status.st_mtim.tv_nsec / 1000};
}

std::vector<FileEntry> list_entries(const std::string& directory) {
  std::vector<FileEntry> entries;
  for (std::string& name : list_directory(directory)) {
    const auto status = file_status(directory + "/" + name);
    if (status) entries.push_back({std::move(name), *status});
  }
  return entries;
}

bool remove_file(const std::string& path) {
  if (!fails_at("remove") && ::unlink(path.c_str()) == 0) return true;
  if (is_missing(errno)) return false;
  throw_errno("remove", path, errno);
}

bool remove_tree(const std::string& path) {
  const auto status = file_status(path);
  if (!status) return true;
  if (!status->is_directory) {
    remove_file(path);
    return true;
  }
  bool is_empty = true;
  for (const std::string& name : list_directory(path)) is_empty = remove_tree(path + "/" + name) && is_empty;
  if (!fails_at("remove") && ::rmdir(path.c_str()) == 0) return is_empty;
  if (is_missing(errno)) return is_empty;
  if (errno == ENOTEMPTY || errno == EEXIST) return false;
  throw_errno("remove", path, errno);
}

bool rename_file(const std::string& from, const std::string& to) {
  if (!fails_at("rename") && std::rename(from.c_str(), to.c_str()) == 0) return true;
  if (is_missing(errno)) return false;
  throw_errno("rename", from, errno);
}

Touched touch_file(const std::string& path) {
  if (!fails_at("touch") && ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0) == 0) return Touched::yes;
  if (is_missing(errno)) return Touched::missing;
  if (errno == EPERM || errno == EACCES || errno == EROFS) return Touched::not_permitted;
  throw_errno("touch", path, errno);
}

}  // namespace metaflow::base
