// What becomes of jobs that were submitted: asked for, since AWS Batch tells nothing by itself. A hundred jobs a call;
// of an array only what it says of its children together, and of these each one when that has changed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "compute/batch/client/batch_api.h"

namespace metaflow::awsbatch {

/// Driven by the loop; not thread-safe.
class JobWatch {
 public:
  /// Called from the loop. They may call add(), remove() and terminate().
  struct Events {
    /// Told each time that it was asked for; a child of an array, when the array or the job itself may have changed.
    std::function<void(Job&&)> on_job;
    /// Batch does not know it (any more).
    std::function<void(const std::string& job)> on_lost;
    /// These jobs were asked for in vain.
    std::function<void(const net::CallFailure&, const std::vector<std::string>& jobs)> on_failure;
  };

  /// All references outlive this. `poll_every`: microseconds, at the most often.
  JobWatch(base::EventLoop& loop, base::Clock& clock, BatchApi& api, Events events, std::int64_t poll_every);
  ~JobWatch();
  JobWatch(const JobWatch&) = delete;
  JobWatch& operator=(const JobWatch&) = delete;

  /// A job, or a child of an array.
  void add(const std::string& job);
  /// It is not asked for any more.
  void remove(const std::string& job);
  /// Something has changed: it is asked often again.
  void quicken();
  /// `done`: it was answered, if not with success. Children of an array are terminated by one call where all that are
  /// watched are to end.
  void terminate(const std::string& job, const std::string& reason, std::function<void()> done);
  /// No termination is without an answer.
  bool is_idle() const { return doomed_.empty() && terminations_ == 0; }

 private:
  struct Array {
    std::map<std::string, JobStatus> children;  // as they were told last, of those that are watched
    std::map<JobStatus, std::size_t> ended;     // those that are not any more
    std::int64_t told_at = 0;                   // when they were told last; monotonic
    bool due = true;
  };
  struct Doomed {
    std::string reason;
    std::function<void()> done;
  };

  void schedule(bool soon);
  void poll();
  void ask_for_children();
  void ask(const std::vector<std::string>& jobs, const std::function<void()>& then);
  void on_told(Job&& job);
  void on_array(const Job& job);
  void end_doomed();
  void end_job(const std::string& job, const std::string& reason, std::vector<std::function<void()>> done);

  base::EventLoop& loop_;
  base::Clock& clock_;
  BatchApi& api_;
  Events events_;
  std::int64_t poll_every_;
  std::unordered_map<std::string, int> jobs_;  // how often in a row Batch did not tell of one
  std::unordered_map<std::string, Array> arrays_;
  std::optional<base::EventLoop::Timer> poll_timer_;
  std::optional<base::EventLoop::Timer> doom_timer_;
  bool polling_ = false;
  std::int64_t calls_ = 0;       // of the last poll
  std::int64_t changed_at_ = 0;  // monotonic
  std::map<std::string, Doomed> doomed_;
  std::size_t terminations_ = 0;  // not answered yet
};

}  // namespace metaflow::awsbatch
