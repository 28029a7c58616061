// Trees of files: their sizes and times, and their removal. Links are not followed. Errors are those of base/files.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

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

struct FileEntry {
  std::string name;
  FileStatus status;
};

/// The entries of a directory, unsorted; empty if it does not exist. Entries that vanish meanwhile are omitted.
std::vector<FileEntry> list_entries(const std::string& directory);

/// Returns false if the file does not exist.
bool remove_file(const std::string& path);
/// Removes a directory with everything below it, or a file. Returns whether nothing is left: another process may have
/// created files meanwhile.
bool remove_tree(const std::string& path);
/// Renames a file, replacing another one. Returns false if it does not exist.
bool rename_file(const std::string& from, const std::string& to);

enum class Touched : std::uint8_t { yes, missing, not_permitted };
/// Sets the time of a file to now.
Touched touch_file(const std::string& path);

}  // namespace metaflow::base
