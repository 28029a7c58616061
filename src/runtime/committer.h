// Decides the outcome of an attempt whose process has ended, and makes its result visible: in the store, the metadata
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
  std::shared_ptr<const store::TaskData> data;        // its data.json; null: it wrote none
  Outcome outcome = Outcome::died;                    // of `verdict` and `data`
  std::string cause{};                                // of a failure
  std::shared_ptr<const store::ItemLabels> labels{};  // of the items of its foreach
};

/// Owns attempts from the end of their process until everything is written. Does not block on the store. Writes in the
/// order that readers rely on: logs and the begin mark, then the done mark, then the metadata. Not thread-safe.
class Committer {
 public:
  /// Takes over an attempt that is committed or has failed, and decides what follows.
  using Committed = std::function<void(EndedAttempt&& ended)>;

  /// All arguments outlive this object.
  Committer(const RunServices& services, RunReport& report, Committed committed)
      : services_(services), report_(report), committed_(std::move(committed)) {}

  /// Called when the process has ended. Throws the errors of the store and the metadata, here or out of the loop.
  void commit(compute::AttemptId attempt, ScheduledTask task, const compute::Verdict& verdict);
  /// Called when the begin mark, which was missing when the attempt ended, is in the store.
  void on_begun(compute::AttemptId attempt) { progressed(attempt); }

  /// Continues the commits that were held back because another scheduler might hold the run.
  void resume_commits();
  /// This scheduler has lost the run: nothing more is committed.
  void close() { closed_ = true; }

  /// The number of attempts that have ended and are not committed.
  std::size_t size() const { return waiting_.size(); }

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
  void read_labels(compute::AttemptId attempt);
  void mark_done(compute::AttemptId attempt);
  void finish(compute::AttemptId attempt);
  void update_metadata(const EndedAttempt& ended);
  void report_end(const EndedAttempt& ended);

  const RunServices& services_;
  RunReport& report_;
  Committed committed_;
  std::map<compute::AttemptId, Waiting> waiting_;
  std::vector<std::pair<compute::AttemptId, void (Committer::*)(compute::AttemptId)>> held_back_;
  bool closed_ = false;
};

/// The artifacts that clients see: without those that only `resume` needs.
store::TaskData visible(store::TaskData data);

}  // namespace metaflow::runtime
