// resume: continues a run that failed or was stopped.

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "base/json.h"
#include "base/process.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/job_commands.h"
#include "cli/paths.h"
#include "cli/run_session.h"
#include "runtime/parameters.h"
#include "store/local/latest_run.h"

namespace metaflow::cli {

namespace {

struct ResumeCommandOptions {
  ExecutionOptions execution;
  std::string origin_run_id;
  std::string step;
  bool take_over = false;
};

/// The run to continue: the named one, else the newest.
std::string find_origin(Context& context, const std::string& named) {
  std::string run = named.empty() ? named : run_of_name(context, named);
  if (run.empty()) {
    run = store::latest_run(context.local_root(), context.flow.name).value_or("");
    if (run.empty())
      throw Error(ErrorCode::invalid_command, "A previous run id was not found. Specify --origin-run-id.");
  }
  if (!context.store().has_run(run)) {
    throw Error(ErrorCode::not_found, fmt::format("Resume could not find run id {}", run),
                fmt::format("The runs of {} are in {}", context.flow.name, context.local_root()));
  }
  return run;
}

void check_step(const graph::Graph& graph, const std::string& step) {
  if (step.empty() || graph.find(step) >= 0) return;
  std::vector<std::string> names;
  for (const graph::Step& known : graph.steps()) names.push_back(known.name);
  std::sort(names.begin(), names.end());
  throw Error(ErrorCode::invalid_command,
              fmt::format("invalid step name {} specified, must be step present in current form of execution graph. "
                          "Valid step names include: {}",
                          step, base::join(names, ",")));
}

/// The file that records whether `resume` has cloned all tasks into the run that it made.
std::string cloning_path(const std::string& flow, const std::string& run) {
  return fmt::format("{}/{}/_meta/cloning.json", flow, run);
}

/// Refuses a run that was stopped while it cloned its origin: it has fewer tasks than the origin.
void refuse_half_cloned(Context& context, const std::string& run) {
  const auto text = store::get(context.store().storage(), cloning_path(context.flow.name, run));
  if (!text) return;
  const base::Json json = base::Json::parse_object(text->text()).value_or(base::Json());
  if (json["complete"].boolean().value_or(true)) return;
  const std::string& origin = json["origin"].text();
  store::check_name(store::NameKind::run, origin, fmt::format("'{}'", cloning_path(context.flow.name, run)));
  throw Error(ErrorCode::invalid_command,
              fmt::format("Run {} was stopped while it cloned run {}. It has executed nothing", run, origin),
              fmt::format("Resume run {1}: {0} resume --origin-run-id {1}", context.command(), origin));
}

/// The parameters of the origin, with the graph of the current program.
store::TaskData origin_parameters(Context& context, const graph::Graph& graph, const std::string& origin) {
  store::FlowStore& store = context.store();
  for (const std::string& task : store.tasks(origin, "_parameters")) {
    auto data = store.read_done({origin, "_parameters", task});
    if (!data) continue;
    runtime::replace_graph_info(*data, graph, store, context.file_name());
    data->attempt = 0;
    return std::move(*data);
  }
  throw Error(ErrorCode::data_missing, fmt::format("Run {} was stopped before its parameters were stored", origin),
              fmt::format("There is nothing to resume. Start again: {} run", context.command()));
}

void pause(std::int64_t microseconds) { std::this_thread::sleep_for(std::chrono::microseconds(microseconds)); }

/// Waits until the run has no live scheduler. Throws Error{invalid_command} if it has one.
void wait_for_lease(runtime::LeaseWatch& watch, const Context& context, const std::string& run) {
  runtime::await_lease(watch, pause, [&](const runtime::LeaseWatch::View& view) {
    Context::echo_always(
        fmt::format("Run {} was executed by {}, which is not visible from this host. Waiting up to {} seconds to see "
                    "whether its lease is renewed; Ctrl-C cancels. `{} resume --origin-run-id {} --take-over` does not "
                    "wait. If that process is still alive, both execute the same tasks until it notices.\n",
                    run, view.holder->name(), view.left / 1'000'000, context.command(), run));
  });
}

/// Warns that the previous holder of the lease may still be alive.
void warn_of_holder(runtime::LeaseWatch& watch, const std::optional<runtime::LeaseHolder>& before) {
  if (!before || before->released || watch.site().processes.state_of(*before) == base::ProcessState::ended) return;
  Context::echo_always(
      fmt::format("Taken over from {}. If that process is still alive, it stops within {} seconds. Until then both "
                  "execute the same tasks.\n",
                  before->name(), runtime::LeaseTimes::kRenewEvery / 1'000'000));
}

/// Kills the processes that tasks of a killed scheduler have left on this host.
void kill_orphans(runtime::LeaseWatch& watch, const std::optional<runtime::LeaseHolder>& before) {
  if (!before || before->released || watch.site().processes.state_of(*before) != base::ProcessState::ended) return;
  constexpr std::int64_t kBrief = 10'000;
  constexpr int kMostTries = 500;
  const std::vector<std::string> marks{"METAFLOW_RUN_ID=" + watch.name().run,
                                       "METAFLOW_SCHEDULER_PID=" + std::to_string(before->pid)};
  for (int i = 0; i < kMostTries && base::kill_processes_with(marks) > 0; ++i) pause(kBrief);
}

int resume(Context& context, ResumeCommandOptions& options) {
  ExecutionPlan plan(context, options.execution);
  check_step(plan.graph(), options.step);
  const std::string origin_run = find_origin(context, options.origin_run_id);
  const std::string& flow = context.flow.name;
  store::Storage& storage = context.store().storage();

  refuse_half_cloned(context, origin_run);
  runtime::LeaseWatch watch(lease_site(context), {flow, origin_run});
  if (!options.take_over) wait_for_lease(watch, context, origin_run);
  const std::optional<runtime::LeaseHolder> before = watch.look().holder;
  const auto info = context.metadata().run(flow, origin_run);

  continue_guarded(context);
  runtime::LeaseKeeper keeper(storage, storage_opener(context));
  const auto how = options.take_over ? runtime::Lease::Taking::at_once : runtime::Lease::Taking::if_free;
  const std::shared_ptr<runtime::Lease> lease = runtime::Lease::take(watch, context.user(), "", how);
  keeper.add(lease);
  if (!context.store().has_run(origin_run))  // `rm` or `gc` has removed it before the lease was taken
    throw Error(ErrorCode::not_found, fmt::format("Run {} was removed meanwhile", origin_run),
                fmt::format("To list the runs: {} runs", context.command()));
  if (options.take_over) warn_of_holder(watch, before);
  kill_orphans(watch, before);
  settle_jobs(context, origin_run);
  if (const auto loss = keeper.await_certainty()) {  // for example after the host was suspended
    const Error lost = lost_lease(context, *loss);
    Context::echo_always(fmt::format("{}\n", lost.what()));
    throw Error(lost);
  }

  RunSession session(
      plan, {.command = "resume", .run = origin_run, .tags = info ? info->tags : std::vector<std::string>()}, keeper);
  lease->set_run(session.run());
  keeper.renew_soon();
  auto record_cloning = [&](bool complete) {
    store::put(storage, cloning_path(flow, session.run()),
               base::Json{{"origin", origin_run}, {"from_step", options.step}, {"complete", complete}}.dump());
  };
  record_cloning(false);
  if (!info) {
    session.print(fmt::format("The metadata provider '{1}' does not know run {0}. Cloned tasks will not refer to it.",
                              origin_run, context.top.metadata));
  }
  session.print_text(fmt::format("Cloning {}/{}", flow, origin_run));
  const store::TaskRef parameters = session.store_parameters(origin_parameters(context, plan.graph(), origin_run));
  runtime::Origin origin(plan.graph(), context.language, context.store(), origin_run, options.step);
  const RunSession::Cloning cloning{origin, info.has_value(), [&] { record_cloning(true); }};
  session.execute(parameters, &cloning);
  return 0;
}

}  // namespace

Command resume_command(Context& context) {
  auto options = std::make_shared<ResumeCommandOptions>();
  Command command{.name = "resume",
                  .help = "Continue a run that failed or was stopped. Finished tasks are reused in a new run."};
  command.options = {{.name = "--origin-run-id",
                      .metavar = "TEXT",
                      .kind = ValueKind::run,
                      .help = "The run to continue. Default: the last run that was executed here.",
                      .environment = "METAFLOW_RESUME_ORIGIN_RUN_ID",
                      .set = store_text(options->origin_run_id)}};
  command.options.push_back({.name = "--take-over",
                             .help = "Do not wait until a scheduler on another host is known to be dead. If it is "
                                     "alive, both execute the same tasks until it notices.",
                             .set = store_flag(options->take_over)});
  append_execution_options(command.options, options->execution, "RESUME");
  command.arguments = {
      {.name = "STEP_TO_RERUN", .kind = ValueKind::step, .required = false, .set = store_text(options->step)}};
  command.examples = {{"", "Continue the last run: finished tasks are reused, the others are executed."},
                      {"end", "Continue the last run, and execute the step end again, even if it had finished."}};
  command.run = [&context, options] { return resume(context, *options); };
  return command;
}

}  // namespace metaflow::cli
