// The output of a run or a supervisor, for a reader that may be slow or stuck.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/background_writer.h"
#include "base/clock.h"
#include "base/event_loop.h"

namespace metaflow::runtime {

/// Never blocks on the reader. A slow reader gets every line: the producers wait while this is congested(). A stuck
/// reader holds up nothing: lines that do not fit are dropped, and the caller prints a notice in their place. Not
/// thread-safe.
class OutputQueue {
 public:
  // Bytes. The lines of one read from a task fit between the first two.
  static constexpr std::size_t kCongested = 1 << 20;
  static constexpr std::size_t kMost = 16 << 20;          // beyond this, lines are dropped
  static constexpr std::size_t kRoomForNeeded = 1 << 20;  // in addition
  static constexpr std::size_t kRelieved = kCongested / 2;
  static constexpr std::int64_t kStuck =
      10'000'000;  // microseconds without progress, after which a reader counts as stuck

  /// The caller owns `fd`. `loop` wakes up when congested() may have changed.
  OutputQueue(base::EventLoop& loop, base::Clock& clock, int fd);
  ~OutputQueue();
  OutputQueue(const OutputQueue&) = delete;
  OutputQueue& operator=(const OutputQueue&) = delete;

  /// Whether a text of this size fits; if not, the caller drops it. `needed`: a line about the run itself, for which
  /// additional room is reserved.
  bool has_room(std::size_t size, bool needed);
  void add(std::string_view text) { added_ += text; }
  /// Writes the added text.
  void flush();
  /// The number of bytes that are not written yet.
  std::size_t waiting() const { return writer_.pending() + added_.size(); }
  /// Whether producers have to wait. Called at each turn of the loop.
  bool congested();

  /// As BackgroundWriter::finish().
  bool finish(std::int64_t timeout, int stop);

 private:
  base::EventLoop& loop_;
  base::Clock& clock_;
  base::BackgroundWriter writer_;
  std::string added_;
  bool dropping_ = false;
  bool congested_ = false;
  std::uint64_t written_ = 0;  // at the last progress
  std::int64_t progress_at_ = 0;
  std::optional<base::EventLoop::Timer> timer_;
};

}  // namespace metaflow::runtime
