// batch list, batch kill: what runs have on AWS Batch. Where jobs go, and what `resume` has to know of them.
#include <set>

#include <metaflow/error.h>

#include "base/event_loop.h"
#include "base/files.h"
#include "base/format.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/job_commands.h"
#include "cli/remote.h"
#include "compute/batch/job_request.h"
#include "compute/batch/run_jobs.h"
#include "compute/remote/job_identity.h"
#include "net/plain_http.h"

namespace metaflow::cli {

namespace {

using awsbatch::Job;
using base::Json;

constexpr std::int64_t kAskEvery = 3'000'000;

/// Below a run: which queues its jobs are in.
std::string queues_path(const Context& context, const std::string& run) {
  return fmt::format("{}/{}/_meta/batch.json", context.flow.name, run);
}

std::set<std::string> queues_of(Context& context, const std::string& run) {
  std::set<std::string> names;
  if (run.empty()) return names;
  const auto text = store::get(context.store().storage(), queues_path(context, run));
  if (!text) return names;
  const Json json = Json::parse(text->text()).value_or(Json());
  for (std::string& name : json["queues"].texts()) names.insert(std::move(name));
  return names;
}

awsbatch::BatchApiOptions waiting_options() {
  awsbatch::BatchApiOptions options;
  options.limits.retry.tries = 6;  // somebody waits
  return options;
}

/// AWS Batch, for a command that waits for it.
struct Waiting {
  explicit Waiting(Context& context)
      : loop(context.clock),
        session(context.clock, net::AwsConfig(net::variables_of(context.settings))),
        api(loop, context.clock, session, waiting_options()) {}

  base::EventLoop loop;
  net::AwsSession session;
  awsbatch::BatchApi api;
};

std::vector<Job> jobs_of(Context& context, Waiting& batch, const ChosenRuns& which) {
  awsbatch::RunSelection selection{.flow = which.flow, .run = which.run, .user = which.user};
  if (!which.run.empty()) selection.run_key = compute::run_key(which.flow, which.run, context.store().storage().root());
  std::set<std::string> queues = queues_of(context, which.run);
  if (queues.empty())
    queues.insert(awsbatch::wait_for_queue(batch.api, batch.loop, context.settings.get("BATCH_JOB_QUEUE", "")).arn);
  std::vector<Job> jobs;
  for (const std::string& queue : queues) {
    for (Job& job : awsbatch::unfinished_jobs(batch.api, batch.loop, queue, selection)) jobs.push_back(std::move(job));
  }
  return jobs;
}

std::string parameter(const Job& job, const char* name) {
  const auto found = job.parameters.find(name);
  return found == job.parameters.end() ? "" : found->second;
}

std::vector<ListedJob> list_batch_jobs(Context& context, const ChosenRuns& which) {
  Waiting batch(context);
  std::vector<ListedJob> listed;
  for (Job& job : jobs_of(context, batch, which)) {
    listed.push_back({.run = parameter(job, awsbatch::kRunParameter),
                      .step = parameter(job, awsbatch::kStepParameter),
                      .task = parameter(job, awsbatch::kTaskParameter),
                      .attempt = parameter(job, awsbatch::kAttemptParameter),
                      .user = parameter(job, awsbatch::kUserParameter),
                      .job = std::move(job.id),
                      .since = base::utc_time(job.created * 1000).substr(0, 19) + "Z",
                      .status = std::string(awsbatch::name_of(job.status)),
                      .reason = std::move(job.reason)});
  }
  return listed;
}

std::size_t kill_batch_jobs(Context& context, const ChosenRuns& which) {
  Waiting batch(context);
  const std::vector<Job> jobs = jobs_of(context, batch, which);
  awsbatch::end_jobs(batch.api, batch.loop, jobs, fmt::format("Killed by {} with batch kill", context.user()));
  for (const Job& job : jobs) {
    base::write_all(
        1, fmt::format("Killed {}/{}/{} (job {})\n", parameter(job, awsbatch::kRunParameter),
                       parameter(job, awsbatch::kStepParameter), parameter(job, awsbatch::kTaskParameter), job.id));
  }
  return jobs.size();
}

}  // namespace

std::map<std::string, awsbatch::PlacedRequest> place_jobs(
    Context& context, net::AwsSession& session, const std::map<std::string, awsbatch::BatchRequest>& requests) {
  base::EventLoop loop(context.clock);
  awsbatch::BatchApi api(loop, context.clock, session, waiting_options());
  std::map<std::string, awsbatch::Queue> queues;  // by what they were asked for
  std::map<std::string, awsbatch::PlacedRequest> placed;
  for (const auto& [step, request] : requests) {
    if (!queues.contains(request.queue))
      queues.emplace(request.queue, awsbatch::wait_for_queue(api, loop, request.queue));
    const awsbatch::Queue& queue = queues.at(request.queue);
    placed.emplace(step, awsbatch::PlacedRequest{awsbatch::fit_to(queue.machines, step, request), queue});
  }
  return placed;
}

void note_queues(Context& context, const std::string& run, const std::map<std::string, awsbatch::PlacedRequest>& jobs) {
  std::set<std::string> queues;
  for (const auto& [step, placed] : jobs) queues.insert(placed.queue.arn);
  store::put(context.store().storage(), queues_path(context, run),
             Json{{"queues", std::vector<std::string>(queues.begin(), queues.end())}}.dump());
}

void settle_batch_jobs(Context& context, const std::string& run) {
  const std::set<std::string> queues = queues_of(context, run);
  if (queues.empty()) return;
  Waiting batch(context);
  const ChosenRuns which{.flow = context.flow.name, .run = run};
  std::size_t said = 0;
  while (true) {
    std::vector<Job> jobs = jobs_of(context, batch, which);
    std::vector<Job> not_begun;
    for (Job& job : jobs) {
      if (job.status != awsbatch::JobStatus::running) not_begun.push_back(job);
    }
    awsbatch::end_jobs(batch.api, batch.loop, not_begun, fmt::format("Run {} is resumed", run));
    const std::size_t left = jobs.size() - not_begun.size();
    // What was terminated while it started may yet begin: it is looked for once more.
    if (jobs.empty()) return;
    if (left > 0 && left != said)
      Context::echo_always(
          fmt::format("{} task{} of run {} {} still executed on AWS Batch; waiting, since what they finish is not done "
                      "again. To end them: {} batch kill --run-id {}\n",
                      left, left == 1 ? "" : "s", run, left == 1 ? "is" : "are", context.program, run));
    said = left;
    bool over = false;
    batch.loop.after(kAskEvery, [&] { over = true; });
    while (!over) batch.loop.run_once();
  }
}

Command batch_command(Context& context) {
  return job_commands(context,
                      {.name = "batch",
                       .platform = "AWS Batch",
                       .things = "AWS Batch jobs",
                       .beginning = "Created",
                       .list = [&context](const ChosenRuns& which) { return list_batch_jobs(context, which); },
                       .kill = [&context](const ChosenRuns& which) { return kill_batch_jobs(context, which); }});
}

}  // namespace metaflow::cli
