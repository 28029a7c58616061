// Writes to a pipe, a socket or a terminal whose reader may be slow or stuck.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace metaflow::base {

/// At the end of a process: how long to wait for a reader that reads nothing, in microseconds. It may be a person using
/// a pager.
inline constexpr std::int64_t kReaderTimeout = 300'000'000;
/// The same after the user has asked the process to stop.
inline constexpr std::int64_t kInterruptedTimeout = 1'000'000;

/// Writes to a file descriptor without blocking on its reader (a pipe into `less`, a terminal stopped with Ctrl-S). A
/// thread writes whatever cannot be written at once; it is started on demand. Files have no reader: the caller's thread
/// writes them.
///
/// O_NONBLOCK is not an alternative: it belongs to the open file, which other processes share.
///
/// The process must ignore SIGPIPE. Not thread-safe.
class BackgroundWriter {
 public:
  /// The caller keeps ownership of the descriptor.
  explicit BackgroundWriter(int fd);
  /// Drops pending text.
  ~BackgroundWriter();
  BackgroundWriter(const BackgroundWriter&) = delete;
  BackgroundWriter& operator=(const BackgroundWriter&) = delete;

  /// Buffers text that cannot be written now; the caller limits the buffer with pending(). Errors are ignored.
  void write(std::string_view text);
  /// Number of buffered bytes.
  std::size_t pending() const;
  /// Number of bytes written so far. It grows while the reader reads.
  std::uint64_t written() const;
  /// True if the reader has closed its end (`| head`). From then on all text is dropped.
  bool closed() const;

  /// A file descriptor that becomes readable when pending() falls to the value of notify_at(), until clear_event().
  int event() const;
  void notify_at(std::size_t pending);
  void clear_event();

  /// Waits until everything is written. Returns false if it gave up: nothing was written for `timeout` microseconds,
  /// or the file descriptor `stop` became readable.
  bool finish(std::int64_t timeout, int stop = -1);

 private:
  struct Shared;
  void write_at_once(std::string_view& text);
  void start_thread();

  std::shared_ptr<Shared> shared_;  // shared with the thread, which may be stuck in write(2)
  bool has_reader_ = true;
  bool can_try_ = true;  // a write without waiting is possible
  bool has_thread_ = false;
};

/// Writes a text; gives up if the reader reads nothing for `timeout` microseconds.
void write_with_timeout(int fd, std::string_view text, std::int64_t timeout);

}  // namespace metaflow::base
