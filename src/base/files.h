// Files and directories. Unless noted otherwise, every function throws Error{data_store} with the operation, the path
// and the reason; EINTR is handled. Files appear complete or not at all, even if the process is killed.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace metaflow::base {

/// An owned file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

using Parts = std::span<const std::span<const std::byte>>;

/// The whole file; nothing if it does not exist. Files of 64 KiB or more are mapped. If others could truncate the file,
/// a copy is mapped instead; for files of 64 MiB or more the copy is in the temporary directory.
std::optional<SharedBytes> read_file(const std::string& path);

/// The same for an open file; nothing if the object behind it no longer exists (in /proc).
std::optional<SharedBytes> read_open_file(const Fd& fd, const std::string& path);

/// For optional files (in /proc, for instance): nothing if the file cannot be read, whatever the reason.
std::optional<SharedBytes> try_read_file(const std::string& path);

/// Creates a file. Returns false, and changes nothing, if it exists. Creates missing directories.
bool create_file(const std::string& path, Parts parts);
bool create_file(const std::string& path, std::string_view text);

/// Replaces or creates a file. Creates missing directories.
void replace_file(const std::string& path, Parts parts);
void replace_file(const std::string& path, std::string_view text);

/// Writes a file named by the user: like replace_file, but devices, pipes and links are written to, not replaced, and a
/// missing directory is an error.
void write_output_file(const std::string& path, Parts parts);
void write_output_file(const std::string& path, std::string_view text);

/// A file in a directory that has no name yet: for content written in pieces.
class SpoolFile {
 public:
  /// The treatment of a missing directory.
  enum class Missing : std::uint8_t { is_made, is_an_error };
  explicit SpoolFile(const std::string& directory, Missing missing = Missing::is_made);
  SpoolFile(SpoolFile&&) = default;
  ~SpoolFile();
  int fd() const { return fd_.get(); }
  /// Writes at an offset; safe from several threads for different ranges.
  void write(std::span<const std::byte> bytes, std::uint64_t offset);
  /// Gives the file its name; returns false if the name exists (the content is then dropped). Of several concurrent
  /// calls one succeeds, on every file system. Without hard links and RENAME_NOREPLACE, others may see an empty file
  /// first.
  bool publish(const std::string& path);
  /// The open file, which no longer has a name.
  Fd release();

 private:
  bool publish_by_rename(const std::string& path);

  Fd fd_;
  std::string directory_;
  std::string temporary_;  // its name, if the file system does not support O_TMPFILE
};

/// Names an open file without a name (O_TMPFILE); false if the name exists.
bool link_open_file(int fd, const std::string& path);

/// Makes a hard link to an existing file; false if it is not possible here (true if the link exists already).
bool link_file(const std::string& existing, const std::string& path);

/// A descriptor for repeated calls of append.
Fd open_to_append(const std::string& path);
void append(const Fd& fd, const std::string& path, std::string_view text);
void make_directories(const std::string& path);
/// False if it exists already. Creates missing parents.
bool make_directory(const std::string& path);
bool exists(const std::string& path);
/// Nothing if the path does not exist.
std::optional<bool> is_directory(const std::string& path);
std::optional<std::uint64_t> file_size(const std::string& path);

/// The names in a directory, unsorted, without . and ..; empty if the directory does not exist.
std::vector<std::string> list_directory(const std::string& path);

/// The directory of a path: "a" of "a/b", "." of "b".
std::string directory_of(const std::string& path);
std::string current_directory();
std::string absolute_path(const std::string& path);  // lexical; no links resolved

/// Flushes the file system of this path to disk. Errors are ignored: this only protects against power loss.
void sync_file_system(const std::string& path);

/// Throws Error{data_store}; OutputClosed if `fd` is standard output and its reader is gone (`| head`).
void write_all(int fd, std::string_view text);
struct OutputClosed {};

/// "cannot write 'x': No space left on device" from errno, with a hint where one is known.
[[noreturn]] void throw_errno(std::string_view operation, std::string_view path, int error);

}  // namespace metaflow::base
