// Both streams of a container, written so that a reader that merges them into one log gets whole lines.
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/event_loop.h"
#include "runtime/supervisor/container_output.h"
#include "store/flow_store.h"

namespace metaflow::runtime {

/// A container runtime reads the two streams in pieces and merges them into one log. Lines of the other stream could
/// appear between the pieces of a line that is longer than one piece. So a line is written when it is complete, and a
/// long line only while nothing else is on its way. Not thread-safe.
class ContainerStreams {
 public:
  // Bytes. Lines up to kLongestLine are kept whole in the log.
  static constexpr std::size_t kPiece = 8 * 1024;  // runtimes read this much at once, or more
  static constexpr std::size_t kLongestLine = 1 << 20;
  static constexpr std::size_t kMostPending = 1 << 20;  // then the step waits
  static constexpr std::int64_t kAlone = 1'000'000;     // microseconds; the longest wait for a long line to be read

  /// The descriptors stay the caller's.
  ContainerStreams(base::EventLoop& loop, base::Clock& clock, int out, int err);
  ~ContainerStreams();

  /// Shows bytes, not necessarily whole lines.
  void add(store::Stream stream, std::string_view bytes);
  /// Whether the step has to wait before it writes more to this stream. Called at each turn of the loop.
  bool congested(store::Stream stream);
  /// Writes what is left, as OutputQueue::finish().
  void finish(std::int64_t timeout, int stop);

 private:
  struct Lines {  // of one stream
    store::Stream stream;
    std::string text;
    bool is_long = false;
  };

  static std::size_t index(store::Stream stream) { return static_cast<std::size_t>(stream); }
  void push(store::Stream stream, std::string_view lines);
  void write();
  bool is_quiet();

  base::EventLoop& loop_;
  base::Clock& clock_;
  std::array<int, 2> fds_;
  std::array<ContainerOutput, 2> outputs_;
  std::array<std::string, 2> partial_;  // lines that are not complete yet
  std::deque<Lines> pending_;
  std::size_t pending_bytes_ = 0;
  bool long_is_under_way_ = false;
  std::optional<std::int64_t> waits_since_;
  std::optional<base::EventLoop::Timer> timer_;
};

}  // namespace metaflow::runtime
