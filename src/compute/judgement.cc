#include "compute/judgement.h"

#include <utility>

#include "base/format.h"
#include "compute/verdict.h"

namespace metaflow::compute {

/// What the supervisor wrote counts; the platform knows what has killed the two together.
Judgement judge(const Ending* ending, Leftover&& left, bool was_running, bool has_limit) {
  Judgement judgement;
  Verdict& verdict = judgement.verdict;
  if (!left.failure.empty()) {
    verdict.cause = fmt::format("How the task ended could not be read: {}", left.failure);
    return judgement;
  }
  if (left.report) verdict = verdict_of(*left.report);
  verdict.data = std::move(left.data);
  verdict.data_read = true;
  if (left.report) {
    const store::ExitReport& report = *left.report;
    judgement.began = report.stage != store::Stage::bootstrap;
    if (report.committed || ending == nullptr) return judgement;
    const bool killed = !report.exited || report.stopped_by != 0;
    if (ending->by == EndedBy::deadline || (killed && ending->by == EndedBy::cluster && !ending->cause.empty()))
      verdict.cause = ending->cause;
    judgement.lost = killed && ending->lost;
    if (ending->by == EndedBy::memory && report.signal != 0 && report.oom_kills == 0) verdict.cause = ending->cause;
    verdict.timed_out = verdict.timed_out || (ending->by == EndedBy::deadline && has_limit);
    return judgement;
  }
  if (left.done) {  // the report alone was lost
    verdict.exited = verdict.exited_well = verdict.committed = true;
    return judgement;
  }
  if (ending == nullptr) {
    verdict.cause = "Task was stopped.";
    return judgement;
  }
  judgement.began = ending->by != EndedBy::bootstrap;
  if (ending->succeeded) {
    verdict.cause = "The container ended well, but the task has left no result in the datastore.";
    return judgement;
  }
  verdict.cause = ending->cause.empty() ? "The platform ended the job, and says no reason." : ending->cause;
  verdict.timed_out = ending->by == EndedBy::deadline && has_limit;
  verdict.hopeless = ending->by == EndedBy::bootstrap;
  judgement.lost = ending->lost;
  if (ending->by == EndedBy::cluster && !was_running) judgement.began = false;
  return judgement;
}

}  // namespace metaflow::compute
