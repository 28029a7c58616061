// Decides what attempts come to whose process has ended, and makes visible what they left: in the store, the metadata
// and the journal.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "compute/backend.h"
#include "runtime/outcome.h"
#include "runtime/run_report.h"
#include "runtime/scheduled_task.h"

namespace metaflow::runtime {

/// An attempt whose process has ended.
struct EndedAttempt {
  ScheduledTask task;
  compute::Verdict verdict;
  std::shared_ptr<const store::TaskData> data;  // what it left; nothing: nothing
  Outcome outcome = Outcome::died;              // of both
  std::string cause{};                          // of a failure
};

/// Has attempts from the end of their process until all is written; does not wait for the store meanwhile. In the order
/// that readers rely on: logs and the begin mark, then the done mark, then the metadata. Not thread-safe.
class Committer {
 public:
  /// Takes over what is committed, or was not to be: what follows from it is not decided here.
  using Committed = std::function<void(EndedAttempt&& ended)>;

  /// All outlives this.
  Committer(const RunServices& services, RunReport& report, Committed committed)
      : services_(services), report_(report), committed_(std::move(committed)) {}

  /// Its process has ended. Throws what the store and the metadata throw, here or out of the loop.
  void commit(compute::AttemptId attempt, ScheduledTask task, const compute::Verdict& verdict);
  /// Its begin mark, which was missing when it ended, is in the store.
  void on_begun(compute::AttemptId attempt) { progressed(attempt); }

  /// What was held back since it was in doubt who holds the run: goes on.
  void go_on();
  /// This scheduler does not hold the run any more: what is not committed never will be.
  void close() { closed_ = true; }

  /// How many attempts have ended and are not committed.
  std::size_t size() const { return waiting_.size(); }
  /// How many have failed that were stopped because of another task, or by the user.
  std::size_t stopped() const { return stopped_; }

 private:
  struct Waiting {
    EndedAttempt ended;
    std::size_t awaited = 0;  // reads and writes before its outcome is known
  };

  bool is_held_back(compute::AttemptId attempt, void (Committer::*what)(compute::AttemptId));
  void progressed(compute::AttemptId attempt);
  void decide(compute::AttemptId attempt);
  void describe_failure(EndedAttempt& ended);
  void note_failure(EndedAttempt& ended);
  void mark_done(compute::AttemptId attempt);
  void finish(compute::AttemptId attempt);
  void tell_metadata(const EndedAttempt& ended);
  void tell_journal(const EndedAttempt& ended);

  const RunServices& services_;
  RunReport& report_;
  Committed committed_;
  std::map<compute::AttemptId, Waiting> waiting_;
  std::vector<std::pair<compute::AttemptId, void (Committer::*)(compute::AttemptId)>> held_back_;
  bool closed_ = false;
  std::size_t stopped_ = 0;
};

/// What clients are told of: without what only `resume` needs.
store::TaskData visible(store::TaskData data);

}  // namespace metaflow::runtime
