// Trees of files: their sizes and times, and their removal. Links are not followed. Errors are those of base/files.h.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"

namespace metaflow::base {

struct FileStatus {
  bool is_directory = false;
  bool is_file = false;  // a regular file
  std::uint64_t size = 0;
  std::int64_t modified = 0;  // microseconds since 1970

  bool operator==(const FileStatus&) const = default;
};

/// Nothing if the path does not exist.
std::optional<FileStatus> file_status(const std::string& path);

/// As list_directory, for an open directory. Not open, with errno: it does not exist, or cannot be opened.
std::vector<std::string> list_open_directory(Fd opened, const std::string& path);

/// The files below a directory that others may write to, such as a shared store. Paths are relative to the directory. A
/// link in place of a directory below it is an error, also if it appears during the operation. So no operation reads,
/// renames or removes anything outside of the directory.
class FileTree {
 public:
  /// `root`: need not exist. The user has chosen it, so it may be a link.
  explicit FileTree(std::string root) : root_(std::move(root)) {}

  /// Visits the regular files below a directory; none if it does not exist. Files that vanish meanwhile are omitted.
  void walk(const std::string& path, const std::function<void(std::string&& path, const FileStatus&)>& visit) const;
  /// Returns false if the file does not exist.
  bool remove_file(const std::string& path) const;
  /// Removes a directory with everything below it, or a file. Returns whether nothing is left: another process may have
  /// created files meanwhile.
  bool remove_tree(const std::string& path) const;
  /// Renames a file, replacing another one in the same directory. Returns false if it does not exist.
  bool rename_file(const std::string& path, const std::string& new_name) const;
  /// Gives a file its former name again. If a file of that name exists by now, this one is removed instead.
  void restore_file(const std::string& path, const std::string& former_name) const;

 private:
  Fd open_directory(const std::string& path) const;
  std::string full(const std::string& path) const { return path.empty() ? root_ : root_ + "/" + path; }

  std::string root_;
};

enum class Touched : std::uint8_t { yes, missing, not_permitted };
/// Sets the time of a file to now.
Touched touch_file(const std::string& path);

}  // namespace metaflow::base
