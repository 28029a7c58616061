// Logs on their way to the store while a task runs: in a thread of its own, since a store may be slow and the task's
// pipes must be emptied.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "base/bytes.h"
#include "base/mutex.h"
#include "store/flow_store.h"

namespace metaflow::runtime {

/// How long to wait before the next upload, after a task has run for so long (microseconds): a quarter of a second at
/// first, half a minute after half an hour.
std::int64_t upload_pause(std::int64_t running);

/// Thread-safe.
class LogUpload {
 public:
  using Open = std::function<std::unique_ptr<store::FlowStore>()>;

  /// `open`: called in the thread, which needs a store of its own. Where no thread can be had, finish() writes.
  LogUpload(Open open, store::TaskRef task, int attempt);
  ~LogUpload();

  /// The log as it is now. What was offered before and has not been written is dropped.
  void offer(store::Stream stream, base::SharedBytes content);
  /// Whether what was offered is still on its way.
  bool busy() const;
  /// Waits until all is written. Nothing, or why it could not be, after several tries.
  std::optional<std::string> finish();

 private:
  void work();

  Open open_;
  store::TaskRef task_;
  int attempt_;
  mutable base::Mutex mutex_;
  base::Condition changed_;
  std::array<std::optional<base::SharedBytes>, 2> waiting_ MF_GUARDED_BY(mutex_);
  bool writing_ MF_GUARDED_BY(mutex_) = false;
  bool ending_ MF_GUARDED_BY(mutex_) = false;
  std::optional<std::string> failure_ MF_GUARDED_BY(mutex_);  // of the last try
  bool finished_ = false;
  std::vector<std::jthread> threads_;  // one; none where it cannot be had
};

}  // namespace metaflow::runtime
