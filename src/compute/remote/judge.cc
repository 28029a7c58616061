#include "compute/remote/judge.h"

#include <utility>

#include "base/format.h"
#include "compute/verdict.h"

namespace metaflow::compute {

namespace {

/// The supervisor has written how the attempt ended.
void judge_reported(const JobFacts& job, const store::ExitReport& report, Verdict& verdict) {
  verdict.began = report.stage != store::Stage::bootstrap;
  if (report.committed || job.end == nullptr) return;
  const JobEnd& end = *job.end;
  const bool killed = !report.exited || report.stopped_by != 0;
  if (end.by == EndedBy::deadline || (killed && end.by == EndedBy::cluster && !end.cause.empty()))
    verdict.cause = end.cause;
  if (killed && end.lost) verdict.uncounted = job.uncounted_retries;
  if (end.by == EndedBy::memory && report.signal != 0 && report.oom_kills == 0) verdict.cause = end.cause;
  verdict.timed_out = verdict.timed_out || (end.by == EndedBy::deadline && job.has_limit);
}

/// The supervisor has written nothing, and nothing was committed.
void judge_by_job(const JobFacts& job, Verdict& verdict) {
  if (job.end == nullptr) {
    verdict.cause = "Task was stopped.";
    return;
  }
  const JobEnd& end = *job.end;
  verdict.began = end.by != EndedBy::bootstrap;
  if (end.exit_code >= 0) verdict.exit_code = end.exit_code;
  if (end.succeeded) {
    verdict.cause = "The container exited with 0, but wrote no result to the datastore.";
    return;
  }
  verdict.cause = end.cause.empty() ? "The platform terminated the job (no reason given)." : end.cause;
  verdict.timed_out = end.by == EndedBy::deadline && job.has_limit;
  verdict.hopeless = end.by == EndedBy::bootstrap;
  if (end.lost) verdict.uncounted = job.uncounted_retries;
  if (end.by == EndedBy::cluster && !job.was_running && !end.ran) verdict.began = false;
}

}  // namespace

Verdict judge(const JobFacts& job, AttemptResult&& left) {
  Verdict verdict;
  if (!left.failure.empty()) {
    verdict.cause = fmt::format("Cannot read how the task ended: {}", left.failure);
    return verdict;
  }
  if (left.report) verdict = verdict_of(*left.report);
  verdict.data = std::move(left.data);
  verdict.data_read = true;
  if (left.report) {
    judge_reported(job, *left.report, verdict);
  } else if (left.done) {  // only the report was lost
    verdict.exited = verdict.exited_with_zero = verdict.committed = true;
  } else {
    judge_by_job(job, verdict);
  }
  return verdict;
}

}  // namespace metaflow::compute
