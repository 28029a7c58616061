// Files and directories. Every function throws Error{data_store} with the operation, the path and the reason, unless it
// says otherwise; EINTR is handled. Files appear whole or not at all, also when the process is killed.
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

/// A file descriptor that is closed.
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

/// The whole file; nothing if it does not exist. Files from 64 KiB on are mapped; if others can make the file shorter,
/// a copy is: of a file from 64 MiB on, in the temporary directory.
std::optional<SharedBytes> read_file(const std::string& path);

/// The same of an open file; nothing if what it is about has gone (in /proc).
std::optional<SharedBytes> read_open_file(const Fd& fd, const std::string& path);

/// Where one can do without (in /proc, for instance): nothing if it cannot be read, whatever the reason.
std::optional<SharedBytes> try_read_file(const std::string& path);

/// Makes a file that must not exist. False, and nothing changed, if it does. Missing directories are made.
bool create_file(const std::string& path, Parts parts);
bool create_file(const std::string& path, std::string_view text);

/// Puts a file in the place of another, or makes it. Missing directories are made.
void replace_file(const std::string& path, Parts parts);
void replace_file(const std::string& path, std::string_view text);

/// Writes a file that the user named: like replace_file, but devices, pipes and links are written to, not replaced, and
/// a missing directory is an error.
void write_output_file(const std::string& path, Parts parts);
void write_output_file(const std::string& path, std::string_view text);

/// A file without a name yet, in this directory: for content that is written piece by piece.
class SpoolFile {
 public:
  /// What becomes of a directory that does not exist.
  enum class Missing : std::uint8_t { is_made, is_an_error };
  explicit SpoolFile(const std::string& directory, Missing missing = Missing::is_made);
  SpoolFile(SpoolFile&&) = default;
  ~SpoolFile();
  int fd() const { return fd_.get(); }
  /// Writes at an offset; safe from several threads for different ranges.
  void write(std::span<const std::byte> bytes, std::uint64_t offset);
  /// Gives it its name; false if that exists already (then the content is dropped). Of several at a time one wins, on
  /// every file system; where it has neither hard links nor RENAME_NOREPLACE, others may see an empty file before.
  bool publish(const std::string& path);
  /// The open file; it has no name any more.
  Fd release();

 private:
  bool publish_by_rename(const std::string& path);

  Fd fd_;
  std::string directory_;
  std::string temporary_;  // its name, where the file system has no nameless files
};

/// Names an open file without a name (O_TMPFILE); false if the name exists.
bool link_open_file(int fd, const std::string& path);

/// A hard link to an existing file; false if that cannot be had here (the link exists is true, too).
bool link_file(const std::string& existing, const std::string& path);

/// For appending again and again.
Fd open_to_append(const std::string& path);
void append(const Fd& fd, const std::string& path, std::string_view text);
void make_directories(const std::string& path);
/// False if it exists already. The parent must exist or is made.
bool make_directory(const std::string& path);
bool exists(const std::string& path);
/// Nothing if there is no such thing.
std::optional<bool> is_directory(const std::string& path);
std::optional<std::uint64_t> file_size(const std::string& path);

/// The names in a directory, unsorted, without . and ..; empty if it does not exist.
std::vector<std::string> list_directory(const std::string& path);

/// The directory that a file is in: "a" of "a/b", "." of "b".
std::string directory_of(const std::string& path);
std::string current_directory();
std::string absolute_path(const std::string& path);  // lexical; no links resolved

/// Flushes the file system that holds this path to the disk. Errors are ignored: it is a promise about power loss only.
void sync_file_system(const std::string& path);

/// Throws Error{data_store}; OutputClosed if it is the standard output, and nobody reads it any more (`| head`).
void write_all(int fd, std::string_view text);
struct OutputClosed {};

/// "cannot write 'x': No space left on device" from errno, with a hint where one is known.
[[noreturn]] void throw_errno(std::string_view operation, std::string_view path, int error);

}  // namespace metaflow::base
