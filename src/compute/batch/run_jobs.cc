#include "compute/batch/run_jobs.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include <metaflow/error.h>

#include "compute/batch/job_request.h"

namespace metaflow::awsbatch {

namespace {

void wait_for(base::EventLoop& loop, const std::optional<BatchApi::Failure>& end) {
  while (!end) loop.run_once();
  if (*end) throw(*end)->error(ErrorCode::batch);
}

std::string parameter(const Job& job, const char* name) {
  const auto found = job.parameters.find(name);
  return found == job.parameters.end() ? std::string() : found->second;
}

bool is_chosen(const Job& job, const RunSelection& which) {
  const auto fits = [&](const char* name, const std::string& wanted) {
    return wanted.empty() || parameter(job, name) == wanted;
  };
  return !has_ended(job.status) && fits(kFlowParameter, which.flow) && fits(kRunParameter, which.run) &&
         fits(kUserParameter, which.user);
}

}  // namespace

std::vector<Job> unfinished_jobs(BatchApi& api, base::EventLoop& loop, const std::string& queue,
                                 const RunSelection& which) {
  std::vector<std::string> ids;
  const auto list = [&](const JobSelection& selection) {
    std::optional<BatchApi::Failure> end;
    api.list_jobs(
        selection,
        [&](Job&& job) {
          if (!has_ended(job.status)) ids.push_back(std::move(job.id));
        },
        [&](const BatchApi::Failure& failure) { end = failure; });
    wait_for(loop, end);
  };
  if (!which.run_key.empty()) {
    list({.queue = queue, .name = job_prefix(which.run_key) + "*"});
  } else {
    for (const JobStatus status :
         {JobStatus::submitted, JobStatus::pending, JobStatus::runnable, JobStatus::starting, JobStatus::running})
      list({.queue = queue, .status = status});
    // One may have been listed twice on its way.
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  }
  std::vector<Job> jobs;
  std::optional<BatchApi::Failure> end;
  api.describe_jobs(
      ids,
      [&](Job&& job) {
        if (is_chosen(job, which)) jobs.push_back(std::move(job));
      },
      [&](const BatchApi::Failure& failure) { end = failure; });
  wait_for(loop, end);
  const auto order = [](const Job& job) {
    const std::string task = parameter(job, kTaskParameter);
    return std::tuple(parameter(job, kRunParameter), parameter(job, kStepParameter), task.size(), task);
  };
  std::sort(jobs.begin(), jobs.end(), [&](const Job& a, const Job& b) { return order(a) < order(b); });
  return jobs;
}

void end_jobs(BatchApi& api, base::EventLoop& loop, std::span<const Job> jobs, const std::string& reason) {
  std::size_t left = jobs.size();
  BatchApi::Failure trouble;
  for (const Job& job : jobs) {
    api.terminate(job.id, reason, [&](const BatchApi::Failure& failure) {
      --left;
      if (failure) trouble = failure;
    });
  }
  while (left > 0) loop.run_once();
  if (trouble) throw trouble->error(ErrorCode::batch);
}

Queue wait_for_queue(BatchApi& api, base::EventLoop& loop, const std::string& name) {
  std::optional<BatchApi::Failure> end;
  Queue found;
  api.find_queue(name, [&](const BatchApi::Failure& failure, Queue&& queue) {
    end = failure;
    found = std::move(queue);
  });
  wait_for(loop, end);
  return found;
}

}  // namespace metaflow::awsbatch
