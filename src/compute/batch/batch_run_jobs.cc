#include "compute/batch/batch_run_jobs.h"

#include <utility>

#include "compute/batch/job_request.h"
#include "compute/batch/run_jobs.h"
#include "compute/remote/job_identity.h"
#include "net/plain_http.h"

namespace metaflow::awsbatch {

BatchApiOptions waiting_options() {
  BatchApiOptions options;
  options.limits.retry.tries = 6;
  return options;
}

BatchRunJobs::BatchRunJobs(const compute::RunSite& site, store::FlowStore& store, std::set<std::string> queues)
    : site_(site),
      store_(store),
      loop_(site.clock),
      session_(site.clock, net::AwsConfig(net::variables_of(site.settings))),
      api_(loop_, site.clock, session_, waiting_options()),
      queues_(std::move(queues)) {}

std::vector<compute::RunJob> BatchRunJobs::unfinished(const compute::ChosenRuns& which) {
  if (queues_.empty()) queues_.insert(wait_for_queue(api_, loop_, site_.settings.get("BATCH_JOB_QUEUE", "")).arn);
  RunSelection selection{.flow = which.flow, .run = which.run, .user = which.user};
  if (!which.run.empty()) selection.run_key = compute::run_key(which.flow, which.run, store_.storage().root());
  std::vector<compute::RunJob> all;
  for (const std::string& queue : queues_) {
    for (const Job& job : unfinished_jobs(api_, loop_, queue, selection)) {
      all.push_back({.run = job.parameter(kRunParameter),
                     .run_key = selection.run_key,
                     .step = job.parameter(kStepParameter),
                     .task = job.parameter(kTaskParameter),
                     .attempt = job.parameter(kAttemptParameter),
                     .user = job.parameter(kUserParameter),
                     .job = job.id,
                     .since = base::utc_time(job.created * 1000).substr(0, 19) + "Z",
                     .status = std::string(name_of(job.status)),
                     .reason = job.reason,
                     .running = job.status == JobStatus::running});
    }
  }
  return all;
}

bool BatchRunJobs::end(std::span<const compute::RunJob> jobs, const std::string& reason) {
  std::vector<std::string> ids;
  for (const compute::RunJob& job : jobs) ids.push_back(job.job);
  end_jobs(api_, loop_, ids, reason);
  return false;
}

}  // namespace metaflow::awsbatch
