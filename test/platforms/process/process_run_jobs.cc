#include "platforms/process/process_run_jobs.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "compute/remote/step_array.h"

namespace metaflow::process_platform {

using compute::RunJob;

std::vector<RunJob> ProcessRunJobs::unfinished(const compute::ChosenRuns& which) {
  const auto fits = [](const std::string& wanted, const std::string& is) { return wanted.empty() || wanted == is; };
  std::vector<RunJob> all;
  for (const Spool& spool : spools_) {
    for (const SpooledJob& job : spool.jobs()) {
      if (!fits(which.flow, job.flow) || !fits(which.run, job.run) || !fits(which.user, job.user)) continue;
      for (std::size_t place = 0; place < job.size; ++place) {
        const std::string id = job.id(place);
        const SpooledState state = spool.state(id).value_or(SpooledState{});
        if (state.phase == SpooledState::Phase::ended) continue;
        const auto task = job.is_array() ? compute::packed_number(job.task, place) : std::nullopt;
        const bool running = state.phase == SpooledState::Phase::running;
        all.push_back({.run = job.run,
                       .run_key = job.run_key,
                       .step = job.step,
                       .task = task ? std::to_string(*task) : job.task,
                       .attempt = std::to_string(job.attempt),
                       .user = job.user,
                       .job = id,
                       .since = state.since,
                       .status = running ? "RUNNING" : "WAITING",
                       .reason = state.reason,
                       .running = running,
                       .place = spool.directory()});
      }
    }
  }
  const auto order = [](const RunJob& job) { return std::tuple(job.run, job.step, job.task.size(), job.task); };
  std::sort(all.begin(), all.end(), [&](const RunJob& a, const RunJob& b) { return order(a) < order(b); });
  return all;
}

bool ProcessRunJobs::end(std::span<const RunJob> jobs, const std::string& /*reason*/) {
  // Those that wait first: one that ends lets another one begin.
  for (const bool running : {false, true}) {
    for (const RunJob& job : jobs) {
      if (job.running == running) Spool(job.place).ask_to_remove(job.job);
    }
  }
  return false;
}

void ProcessRunJobs::end_run(const std::string& run_key) {
  for (const Spool& spool : spools_) {
    for (const SpooledJob& job : spool.jobs()) {
      if (job.run_key == run_key) spool.erase(job);
    }
  }
}

}  // namespace metaflow::process_platform
