#include "compute/kubernetes/judgement.h"

#include <utility>

#include <fmt/format.h>

#include "compute/verdict.h"

namespace metaflow::kube {

/// What the supervisor wrote counts; the pod knows what has killed the two together.
Judgement judge(const PodState* pod, compute::Leftover&& left, bool was_running, bool has_limit) {
  Judgement judgement;
  compute::Verdict& verdict = judgement.verdict;
  if (!left.failure.empty()) {
    verdict.cause = fmt::format("How the task ended could not be read: {}", left.failure);
    return judgement;
  }
  if (left.report) verdict = compute::verdict_of(*left.report);
  verdict.data = std::move(left.data);
  verdict.data_read = true;
  if (left.report) {
    const store::ExitReport& report = *left.report;
    judgement.began = report.stage != store::Stage::bootstrap;
    if (report.committed || pod == nullptr) return judgement;
    const bool killed = !report.exited || report.stopped_by != 0;
    if (pod->by == EndedBy::deadline || (killed && pod->by == EndedBy::cluster)) verdict.cause = pod->cause;
    if (pod->by == EndedBy::memory && report.signal != 0 && report.oom_kills == 0) verdict.cause = pod->cause;
    verdict.timed_out = verdict.timed_out || (pod->by == EndedBy::deadline && has_limit);
    return judgement;
  }
  if (left.done) {  // the report alone was lost
    verdict.exited = verdict.exited_well = verdict.committed = true;
    return judgement;
  }
  if (pod == nullptr) {
    verdict.cause = "Task was stopped.";
    return judgement;
  }
  judgement.began = pod->by != EndedBy::bootstrap;
  if (pod->succeeded) {
    verdict.cause = "The pod ended well, but the task has left no result in the datastore.";
    return judgement;
  }
  verdict.cause = pod->cause;
  verdict.timed_out = pod->by == EndedBy::deadline && has_limit;
  verdict.hopeless = pod->by == EndedBy::bootstrap;
  if (pod->by == EndedBy::cluster && !was_running) judgement.began = false;
  return judgement;
}

}  // namespace metaflow::kube
