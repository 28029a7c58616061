// A task's output on the container's own streams, beside the stored log.
#pragma once

#include "runtime/output_queue.h"

namespace metaflow::runtime {

/// One of the container's streams. Not thread-safe.
class ContainerOutput {
 public:
  /// `fd` stays the caller's.
  ContainerOutput(base::EventLoop& loop, base::Clock& clock, int fd) : queue_(loop, clock, fd) {}

  /// Shows bytes, not necessarily whole lines. Drops bytes that do not fit; a later line reports how many are missing.
  void add(std::string_view bytes);
  /// As OutputQueue.
  bool congested() { return queue_.congested(); }
  std::size_t waiting() const { return queue_.waiting(); }
  bool finish(std::int64_t timeout, int stop);

 private:
  void report_dropped();

  OutputQueue queue_;
  std::uint64_t dropped_ = 0;  // bytes since the last that were shown
  bool is_cut_ = false;        // the dropped bytes end inside a line
  bool in_line_ = false;       // the shown bytes end inside a line
};

}  // namespace metaflow::runtime
