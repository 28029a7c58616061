// Writing to a pipe, a socket or a terminal whose reader may be slow, or stuck.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace metaflow::base {

/// At the end of a process: how long to wait for a reader that reads nothing, in microseconds. It may be a person at a
/// pager.
inline constexpr std::int64_t kReaderPatience = 300'000'000;
/// The same where the user has asked the process to stop.
inline constexpr std::int64_t kLastMoment = 1'000'000;

/// Writes to a file descriptor without ever blocking on its reader (a pipe into `less`, a terminal stopped with
/// Ctrl-S). A thread writes what cannot be written at once; it starts when first needed. Files have no reader: the
/// caller's thread writes them.
///
/// O_NONBLOCK would not do: it belongs to the open file, which other processes share.
///
/// The process must ignore SIGPIPE. Not thread-safe.
class BackgroundWriter {
 public:
  /// The descriptor stays the caller's.
  explicit BackgroundWriter(int fd);
  /// Drops what is not written yet.
  ~BackgroundWriter();
  BackgroundWriter(const BackgroundWriter&) = delete;
  BackgroundWriter& operator=(const BackgroundWriter&) = delete;

  /// Keeps what cannot be written now; the caller bounds it by pending(). Errors are ignored.
  void write(std::string_view text);
  /// Bytes that are kept.
  std::size_t pending() const;
  /// Bytes written so far. It grows while the reader reads.
  std::uint64_t written() const;
  /// The reader has closed its end (`| head`). Everything is dropped from then on.
  bool closed() const;

  /// A file descriptor: readable when pending() has fallen to the value of notify_at(), until clear_event().
  int event() const;
  void notify_at(std::size_t pending);
  void clear_event();

  /// Waits until everything is written; false if it stopped waiting. It does when nothing was written for `patience`
  /// microseconds, or when the file descriptor `stop` is readable.
  bool finish(std::int64_t patience, int stop = -1);

 private:
  struct Shared;
  void write_at_once(std::string_view& text);
  void start_thread();

  std::shared_ptr<Shared> shared_;  // with the thread, which may be stuck in write(2)
  bool has_reader_ = true;
  bool can_try_ = true;  // to write without waiting
  bool has_thread_ = false;
};

/// Writes a text; waits at most `patience` microseconds for a reader that reads nothing.
void write_patiently(int fd, std::string_view text, std::int64_t patience);

}  // namespace metaflow::base
