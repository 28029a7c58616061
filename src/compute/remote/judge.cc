#include "compute/remote/judge.h"

#include <utility>

#include "base/format.h"
#include "compute/verdict.h"

namespace metaflow::compute {

namespace {

/// The supervisor came to write how the attempt ended.
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

/// It did not, and the attempt left nothing that was committed.
void judge_by_job(const JobFacts& job, Verdict& verdict) {
  if (job.end == nullptr) {
    verdict.cause = "Task was stopped.";
    return;
  }
  const JobEnd& end = *job.end;
  verdict.began = end.by != EndedBy::bootstrap;
  if (end.succeeded) {
    verdict.cause = "The container ended well, but the task has left no result in the datastore.";
    return;
  }
  verdict.cause = end.cause.empty() ? "The platform ended the job, and says no reason." : end.cause;
  verdict.timed_out = end.by == EndedBy::deadline && job.has_limit;
  verdict.hopeless = end.by == EndedBy::bootstrap;
  if (end.lost) verdict.uncounted = job.uncounted_retries;
  if (end.by == EndedBy::cluster && !job.was_running && !end.ran) verdict.began = false;
}

}  // namespace

Verdict judge(const JobFacts& job, AttemptResult&& left) {
  Verdict verdict;
  if (!left.failure.empty()) {
    verdict.cause = fmt::format("How the task ended could not be read: {}", left.failure);
    return verdict;
  }
  if (left.report) verdict = verdict_of(*left.report);
  verdict.data = std::move(left.data);
  verdict.data_read = true;
  if (left.report) {
    judge_reported(job, *left.report, verdict);
  } else if (left.done) {  // the report alone was lost
    verdict.exited = verdict.exited_with_zero = verdict.committed = true;
  } else {
    judge_by_job(job, verdict);
  }
  return verdict;
}

}  // namespace metaflow::compute
