// Removal of objects in a directory, beside writers that reuse blobs.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/file_tree.h"
#include "base/files.h"
#include "base/plain_file.h"
#include "base/text.h"
#include "store/local/local_storage.h"

namespace metaflow::store {

void LocalStorage::walk(const std::string& path, const std::function<void(Listed&&)>& visit) {
  if (!path.empty()) check_object_path(path);
  tree().walk(path, [&](std::string&& found, const base::FileStatus& status) {
    visit({std::move(found), status.size, status.modified});
  });
}

std::vector<std::optional<base::SharedBytes>> LocalStorage::get_begins(std::span<const std::string> paths,
                                                                       std::size_t size) {
  std::vector<std::optional<base::SharedBytes>> begins(paths.size());
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const std::string path = full(paths[i]);
    if (!base::file_status(path)) continue;
    const base::Fd file = base::open_plain_file(path, O_RDONLY);
    std::string begin(size, '\0');
    const ssize_t count = ::pread(file.get(), begin.data(), begin.size(), 0);
    if (count < 0) base::throw_errno("read", path, errno);
    begin.resize(static_cast<std::size_t>(count));
    begins[i] = base::SharedBytes(std::move(begin));
  }
  return begins;
}

void LocalStorage::remove(std::span<const std::string> paths) {
  for (const std::string& path : paths) check_object_path(path);
  for (const std::string& path : paths) tree().remove_file(path);
}

void LocalStorage::remove_tree(const std::string& path) {
  // A process that was still creating files makes a second attempt necessary.
  constexpr int kTries = 3;
  check_object_path(path);
  for (int i = 0; i < kTries && !tree().remove_tree(path); ++i) {
  }
}

std::vector<bool> LocalStorage::remove_unchanged(std::span<const Listed> blobs) {
  for (const Listed& blob : blobs) check_object_path(blob.path);
  std::vector<bool> gone;
  for (const Listed& blob : blobs) gone.push_back(remove_blob(blob));
  return gone;
}

/// A writer may be reusing the blob at this moment (reuse_blob): it renews the time, or finds that the blob is missing
/// and writes it. So the blob is set aside before its time is examined for the last time. Then the side file is
/// removed, if the blob was not written meanwhile; the writer examines them in the opposite order (keep_side_file).
/// If this process is killed in between, the collector finds the files that were set aside.
bool LocalStorage::remove_blob(const Listed& blob) {
  const base::FileTree files = tree();
  const std::string path = full(blob.path);
  const std::string name = blob.path.substr(blob.path.rfind('/') + 1);
  const std::string aside = blob.path + std::string(kSetAside);
  const auto before = base::file_status(path);
  if (before && before->modified != blob.modified) return false;
  if (before && files.rename_file(blob.path, name + std::string(kSetAside))) {
    const auto status = base::file_status(full(aside));
    if (status && status->modified != blob.modified) {
      files.restore_file(aside, name);
      return false;
    }
    files.remove_file(aside);
  }
  const std::string side = blob.path + std::string(kSideFile);
  const std::string side_aside = side + std::string(kSetAside);
  if (files.rename_file(side, name + std::string(kSideFile) + std::string(kSetAside))) {
    if (base::exists(path)) {  // it was written meanwhile
      files.restore_file(side_aside, name + std::string(kSideFile));
      return false;
    }
    files.remove_file(side_aside);
  }
  return !base::exists(path);
}

}  // namespace metaflow::store
