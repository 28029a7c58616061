// Uploads the logs of a running task: in a thread of its own, since the store may be slow and the task's pipes must be
// drained.
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

/// The delay before the next upload, in microseconds, of a task that has run for `running` microseconds: a quarter of a
/// second at first, half a minute after half an hour.
std::int64_t upload_pause(std::int64_t running);

/// Thread-safe.
class LogUpload {
 public:
  using Open = std::function<std::unique_ptr<store::FlowStore>()>;

  /// `open`: called in the thread, which needs a store of its own. If no thread can be started, finish() writes the
  /// logs.
  LogUpload(Open open, store::TaskRef task, int attempt);
  ~LogUpload();

  /// Offers the current log. Replaces an older one that is not written yet.
  void offer(store::Stream stream, base::SharedBytes content);
  /// Whether an offered log is still on its way.
  bool busy() const;
  /// Waits until everything is written. Returns nothing, or the error after several attempts.
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
  std::optional<std::string> failure_ MF_GUARDED_BY(mutex_);  // of the last attempt
  bool finished_ = false;
  std::vector<std::jthread> threads_;  // one; none if it could not be started
};

}  // namespace metaflow::runtime
