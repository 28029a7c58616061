#include "compute/batch/run_jobs.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include <metaflow/error.h>

#include "compute/batch/job_request.h"
#include "compute/remote/step_array.h"

namespace metaflow::awsbatch {

namespace {

void wait_for(base::EventLoop& loop, const std::optional<BatchApi::Failure>& end) {
  while (!end) loop.run_once();
  if (*end) throw(*end)->error(kTitle);
}

bool is_chosen(const Job& job, const RunSelection& which) {
  const auto fits = [&](const char* name, const std::string& wanted) {
    return wanted.empty() || job.parameter(name) == wanted;
  };
  return !has_ended(job.status) && fits(kFlowParameter, which.flow) && fits(kRunParameter, which.run) &&
         fits(kUserParameter, which.user);
}

using Ids = std::vector<std::string>;

/// Adds the ids of jobs that have not ended.
void list_unfinished(BatchApi& api, base::EventLoop& loop, const JobSelection& selection, Ids& ids) {
  std::optional<BatchApi::Failure> end;
  api.list_jobs(
      selection,
      [&](Job&& job) {
        if (!has_ended(job.status)) ids.push_back(std::move(job.id));
      },
      [&](const BatchApi::Failure& failure) { end = failure; });
  wait_for(loop, end);
}

/// Lists one status after the other, since Batch accepts only one per call.
void list_unfinished_by_status(BatchApi& api, base::EventLoop& loop, JobSelection selection, Ids& ids) {
  for (const JobStatus status :
       {JobStatus::submitted, JobStatus::pending, JobStatus::runnable, JobStatus::starting, JobStatus::running}) {
    selection.status = status;
    list_unfinished(api, loop, selection, ids);
  }
  // A job whose status changed meanwhile may be listed twice.
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

std::vector<Job> describe(BatchApi& api, base::EventLoop& loop, const Ids& ids) {
  std::vector<Job> jobs;
  std::optional<BatchApi::Failure> end;
  api.describe_jobs(
      ids, [&](Job&& job) { jobs.push_back(std::move(job)); },
      [&](const BatchApi::Failure& failure) { end = failure; });
  wait_for(loop, end);
  return jobs;
}

std::size_t unfinished_children(const Job& array) {
  std::size_t count = 0;
  for (const auto& [status, children] : array.children) count += has_ended(status) ? 0 : children;
  return count;
}

}  // namespace

std::vector<Job> unfinished_jobs(BatchApi& api, base::EventLoop& loop, const std::string& queue,
                                 const RunSelection& which) {
  Ids ids;
  if (which.run_key.empty()) {
    list_unfinished_by_status(api, loop, {.queue = queue}, ids);
  } else {
    list_unfinished(api, loop, {.queue = queue, .name = job_prefix(which.run_key) + "*"}, ids);
  }
  std::vector<Job> jobs;
  Ids children;
  for (Job& job : describe(api, loop, ids)) {
    if (!is_chosen(job, which)) continue;
    if (job.size == 0) {
      jobs.push_back(std::move(job));
    } else {
      Ids of_array;
      list_unfinished_by_status(api, loop, {.array = job.id}, of_array);
      children.insert(children.end(), of_array.begin(), of_array.end());
    }
  }
  for (Job& child : describe(api, loop, children)) {
    if (!is_chosen(child, which)) continue;
    if (const auto task = compute::packed_number(child.parameter(kTaskParameter), place_of(child.id)))
      child.parameters[kTaskParameter] = std::to_string(*task);
    jobs.push_back(std::move(child));
  }
  const auto order = [](const Job& job) {
    const std::string task = job.parameter(kTaskParameter);
    return std::tuple(job.parameter(kRunParameter), job.parameter(kStepParameter), task.size(), task);
  };
  std::sort(jobs.begin(), jobs.end(), [&](const Job& a, const Job& b) { return order(a) < order(b); });
  return jobs;
}

void end_jobs(BatchApi& api, base::EventLoop& loop, std::span<const std::string> jobs, const std::string& reason) {
  std::map<std::string, std::size_t> of_arrays;
  Ids arrays;
  for (const std::string& job : jobs) {
    const std::string array(array_of(job));
    if (!array.empty() && ++of_arrays[array] == 1) arrays.push_back(array);
  }
  Ids doomed;
  std::set<std::string, std::less<>> whole;
  for (const Job& array : describe(api, loop, arrays)) {
    const auto listed = of_arrays.find(array.id);
    if (listed != of_arrays.end() && unfinished_children(array) == listed->second)
      doomed.push_back(*whole.insert(array.id).first);
  }
  for (const std::string& job : jobs) {
    if (!whole.contains(array_of(job))) doomed.push_back(job);
  }
  std::size_t left = doomed.size();
  BatchApi::Failure trouble;
  for (const std::string& job : doomed) {
    api.terminate(job, reason, [&](const BatchApi::Failure& failure) {
      --left;
      if (failure) trouble = failure;
    });
  }
  while (left > 0) loop.run_once();
  if (trouble) throw trouble->error(kTitle);
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
