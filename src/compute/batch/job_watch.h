// Watches submitted jobs by polling, since AWS Batch sends no events. One call describes a hundred jobs. Of an array,
// only the summary is polled; its children are polled when that has changed.
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
    /// Called for each poll of a job; for the child of an array, when the array or the child may have changed.
    std::function<void(Job&&)> on_job;
    /// Batch does not know the job, or no longer.
    std::function<void(const std::string& job)> on_lost;
    /// These jobs could not be described.
    std::function<void(const net::CallFailure&, const std::vector<std::string>& jobs)> on_failure;
  };

  /// All references outlive this. `poll_every`: microseconds between polls, at least.
  JobWatch(base::EventLoop& loop, base::Clock& clock, BatchApi& api, Events events, std::int64_t poll_every);
  ~JobWatch();
  JobWatch(const JobWatch&) = delete;
  JobWatch& operator=(const JobWatch&) = delete;

  /// Adds a job, or a child of an array.
  void add(const std::string& job);
  /// Stops polling a job.
  void remove(const std::string& job);
  /// Called when something has changed: polls often again.
  void poll_often();
  /// Terminates a job. `done`: called with the answer, also if that is a failure. If all watched children of an array
  /// are to end, one call terminates the array.
  void terminate(const std::string& job, const std::string& reason, std::function<void()> done);
  /// Whether every termination was answered.
  bool is_idle() const { return to_terminate_.empty() && terminations_ == 0; }

 private:
  struct Array {
    std::map<std::string, JobStatus> children;  // last known states of the watched ones
    std::map<JobStatus, std::size_t> ended;     // of those that are no longer watched
    std::int64_t polled_at = 0;                 // when they were polled last; monotonic
    bool due = true;
  };
  struct Termination {
    std::string reason;
    std::function<void()> done;
  };

  void schedule(bool soon);
  void poll();
  void ask_for_children();
  void ask(const std::vector<std::string>& jobs, const std::function<void()>& then);
  void on_described(Job&& job);
  void on_array(const Job& job);
  void terminate_pending();
  void terminate_job(const std::string& job, const std::string& reason, std::vector<std::function<void()>> done);

  base::EventLoop& loop_;
  base::Clock& clock_;
  BatchApi& api_;
  Events events_;
  std::int64_t poll_every_;
  std::unordered_map<std::string, int> jobs_;  // polls in a row that did not report the job
  std::unordered_map<std::string, Array> arrays_;
  std::optional<base::EventLoop::Timer> poll_timer_;
  std::optional<base::EventLoop::Timer> termination_timer_;
  bool polling_ = false;
  std::int64_t calls_ = 0;       // of the last poll
  std::int64_t changed_at_ = 0;  // monotonic
  std::map<std::string, Termination> to_terminate_;
  std::size_t terminations_ = 0;  // not answered yet
};

}  // namespace metaflow::awsbatch
