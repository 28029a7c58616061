#include "cli/run_session.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>

#include <metaflow/error.h>

#include "base/background_work.h"
#include "base/background_writer.h"
#include "base/cpus.h"
#include "base/files.h"
#include "base/format.h"
#include "base/guard.h"
#include "base/json.h"
#include "base/process.h"
#include "base/timers.h"
#include "compute/router.h"
#include "runtime/task/memory.h"
#include "store/local/latest_run.h"
#include "store/open.h"

namespace metaflow::cli {

namespace {

// The longest time that the process may still take to end, in microseconds.
constexpr std::int64_t kAfterSecondSignal = 1'000'000;
constexpr std::int64_t kAfterStoreError = 10'000'000;

const ExecutionOptions& checked(const ExecutionOptions& options) {
  store::check_tags(options.tags);
  return options;
}

}  // namespace

ExecutionPlan::ExecutionPlan(Context& context, const ExecutionOptions& options)
    : context_(context),
      options_(checked(options)),
      graph_(context.make_graph(options.with)),
      site_(context.run_site()),
      run_plan_(context.platforms, site_, graph_) {
  context.echo("Validating your flow...\n    The graph looks good!\n");
  context.echo(run_plan_.note());
  limits_ = step_limits(graph_, compute::Machine(), options_.max_workers);
  const bool runs_here = run_plan_.remote_steps().size() < graph_.steps().size();
  if (!options_.no_progress) {
    context.echo(
        concurrency_notes(limits_, options_.max_workers, options_.default_workers, base::available_cpus(), runs_here));
  }
}

void continue_guarded(Context& context) {
  base::continue_under_guard([&context](int signal) {
    // The scheduler handles these while it executes a run. Here it had not started one.
    if (signal == SIGINT || signal == SIGTERM || signal == SIGHUP) return;
    Context::echo_last(fmt::format("The scheduler of this run was killed by {}. Its tasks were stopped; finished tasks "
                                   "are stored. To continue: {} resume\n",
                                   base::signal_name(signal), context.command()),
                       base::kInterruptedTimeout);
  });
  runtime::cap_memory();
  context.store(true);
  base::make_directories(context.local_root());
}

runtime::LeaseSite lease_site(Context& context) {
  static base::SystemClock clock;  // static: a thread that is abandoned at the end may still use it
  return {context.store().storage(), clock};
}

runtime::LeaseKeeper::Open storage_opener(Context& context) {
  return [type = context.top.datastore, root = context.store().storage().root()] {
    return store::open_storage_with_few_retries(type, root);
  };
}

Error lost_lease(const Context& context, const runtime::LeaseLoss& loss) {
  const std::string run = fmt::format("{}/{}", loss.name.flow, loss.name.run);
  if (!loss.to) {
    return Error(
        ErrorCode::interrupted,
        fmt::format("The store could not be reached for {} seconds. This scheduler stops, since another one may take "
                    "over run {}.",
                    (runtime::LeaseTimes::kHolderLimit + runtime::LeaseTimes::kRegain) / 1'000'000, run),
        fmt::format("When the store can be reached: {} resume --origin-run-id {}", context.command(), loss.name.run));
  }
  const std::string& by = loss.to->run;
  const bool is_continued = !by.empty() && by != loss.name.run;
  return Error(ErrorCode::interrupted,
               fmt::format("Run {} was taken over by {}{}. This scheduler stops.", run, loss.to->name(),
                           is_continued ? ", as run " + by : ""),
               is_continued ? fmt::format("To follow it: {} status {}", context.command(), by)
                            : "That process continues the run.");
}

namespace {

/// The tags of a run: the valid ones of its origin, and those of --tag.
std::vector<std::string> tags_of(const RunOrigin& origin, const ExecutionOptions& options) {
  std::vector<std::string> tags;
  for (const std::string& tag : origin.tags) {  // another user may have written them
    try {
      tags.push_back(tag);
      store::check_tags(tags);
    } catch (const Error&) {
      tags.pop_back();
    }
  }
  for (const std::string& tag : options.tags) {
    if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.push_back(tag);
  }
  return tags;
}

std::shared_ptr<runtime::Lease> take_lease(Context& context, const std::string& run) {
  runtime::LeaseWatch watch(lease_site(context), {context.flow.name, run});
  return runtime::Lease::take(watch, context.user(), run);
}

/// Reports changes of the leases to a run while it is executed.
class LeaseEvents {
 public:
  LeaseEvents(base::EventLoop& loop, runtime::LeaseKeeper& keeper, const Context& context, runtime::Run& run)
      : loop_(loop), keeper_(keeper), context_(context), run_(run), timers_(loop) {
    loop_.watch(keeper_.event(), [this] {
      keeper_.clear_event();
      check();
    });
    check_periodically();
  }
  ~LeaseEvents() { loop_.unwatch(keeper_.event()); }
  LeaseEvents(const LeaseEvents&) = delete;
  LeaseEvents& operator=(const LeaseEvents&) = delete;

 private:
  void check() {
    keeper_.notice();
    if (const auto loss = keeper_.loss()) {
      run_.lose(lost_lease(context_, *loss));
    } else if (keeper_.holds()) {
      run_.resume_commits();
    }
  }
  /// While the store does not answer, there are no events of renewals.
  void check_periodically() {
    check();
    timers_.after(runtime::LeaseTimes::kRetryEvery, [this] { check_periodically(); });
  }

  base::EventLoop& loop_;
  runtime::LeaseKeeper& keeper_;
  const Context& context_;
  runtime::Run& run_;
  base::Timers timers_;
};

std::string make_run(Context& context, RunMetadata& metadata, const std::vector<std::string>& tags) {
  std::string run = metadata.writer().new_run(tags, system_tags(context));
  store::FlowStore& store = context.store();
  if (context.uses_service() && store.has_run(run)) {
    throw Error(ErrorCode::data_store,
                fmt::format("The metadata service has created run {}/{}, but a run with this id is already in {}",
                            context.flow.name, run, store.storage().root()),
                "Two metadata services may share this datastore root. Use one datastore root per service.");
  }
  return run;
}

std::string make_journal(Context& context, const std::string& run) {
  std::string path = store::journal_path(context.local_root(), context.flow.name, run);
  base::make_directories(base::directory_of(path));
  return path;
}

}  // namespace

RunSession::RunSession(ExecutionPlan& plan, const RunOrigin& origin, runtime::LeaseKeeper& keeper)
    : plan_(plan),
      context_(plan.context()),
      origin_(origin.run),
      loop_(context_.clock),
      output_(loop_, context_.clock, plan.options()),
      metadata_(context_, loop_, [this](const std::string& text) { print(text); }),
      run_([&] {
        if (!origin.run.empty())
          print_text("Gathering required information to resume run (this may take a bit of time)...");
        return make_run(context_, metadata_, tags_of(origin, plan.options()));
      }()),
      keeper_(keeper),
      lease_(take_lease(context_, run_)),
      journal_(make_journal(context_, run_), context_.clock),
      began_(context_.clock.wall_microseconds()) {
  keeper_.add(lease_);
  begin_journal(origin, tags_of(origin, plan.options()));
  if (!plan.options().run_id_file.empty()) base::write_output_file(plan.options().run_id_file, run_);
  output_.reporter().name_run(context_.flow.name, run_);
  emit_start(origin);
  print_text(fmt::format("Workflow starting (run-id {}):", run_));
}

void RunSession::emit_start(const RunOrigin& origin) {
  runtime::Event event("run_started", context_.clock.wall_microseconds());
  event.add("command", origin.command);
  if (!origin.run.empty()) event.add("origin", origin.run);
  std::string limits;
  for (const StepLimit& limit : plan_.limits()) {
    limits += fmt::format(R"({}{{"step": {}, "tasks": {}, "reason": {}}})", limits.empty() ? "" : ", ",
                          base::json_quoted(limit.step), limit.room.tasks, base::json_quoted(limit.room.reason));
  }
  output_.reporter().emit(event.add("user", context_.user())
                              .add("host", lease_->self().host)
                              .add("pid", ::getpid())
                              .add("max_workers", plan_.options().max_workers)
                              .add("cpus", base::available_cpus())
                              .add_json("limits", "[" + limits + "]"));
}

void RunSession::begin_journal(const RunOrigin& origin, const std::vector<std::string>& tags) {
  const ExecutionOptions& options = plan_.options();
  const std::vector<std::string> with = context_.all_with(options.with);
  store::RunBegin begin{origin.command,
                        origin.run,
                        lease_->self().host,
                        ::getpid(),
                        options.max_workers,
                        options.name_space.value_or("user:" + context_.user()),
                        context_.platforms.decorators().for_readers(with),
                        tags,
                        context_.project_branch()};
  journal_.run_begins(journal_.now(), begin);
  journal_.flush();
  if (begin.with != with)
    store::write_private_with(store::private_with_path(context_.local_root(), context_.flow.name, run_), with);
}

store::TaskRef RunSession::store_parameters(store::TaskData data) {
  store::MetadataWriter& metadata = metadata_.writer();
  metadata.new_step(run_, "_parameters");
  metadata.expect_tasks(run_, "_parameters", 1);
  while (!metadata.ready(run_, "_parameters", 1)) loop_.run_once();
  store::TaskRef task{run_, "_parameters", metadata.new_task(run_, "_parameters")};
  write_parameters_task(context_, plan_.graph(), metadata, task, std::move(data));
  if (const std::string& file = plan_.options().runner_attribute_file; !file.empty()) {
    const base::Json attributes{{"run_id", run_}, {"flow_name", context_.flow.name}, {"metadata", metadata_.name()}};
    base::write_output_file(file, attributes.dump());
  }
  return task;
}

/// Makes this run the one that `resume` continues by default.
void RunSession::make_latest() { store::set_latest_run(context_.local_root(), context_.flow.name, run_); }

/// The environment of this process with the variables for tasks. METAFLOW_SCHEDULER_PID makes a task die with its
/// scheduler.
std::vector<std::string> RunSession::task_environment() {
  std::vector<std::string> variables = base::own_environment();
  base::set_variable(variables, "METAFLOW_USER=" + context_.user());
  base::set_variable(variables, "METAFLOW_RUN_ID=" + run_);
  base::set_variable(variables, "METAFLOW_SCHEDULER_PID=" + std::to_string(::getpid()));
  return variables;
}

runtime::RunOptions RunSession::run_options(bool origin_is_known) const {
  const ExecutionOptions& options = plan_.options();
  return {.max_workers = options.max_workers,
          .max_num_splits = options.max_num_splits,
          .max_log_size = options.max_log_size,
          .tags = options.tags,
          .name_space = options.name_space.value_or("user:" + context_.user()),
          .branch = context_.project_branch(),
          .with = context_.platforms.decorators().for_tasks(context_.all_with(options.with)),
          .origin_run = origin_,
          .origin_is_known = origin_is_known,
          .flow = context_.flow_word(),
          .command = context_.command(),
          .local_root = context_.local_root()};
}

compute::BackendSite RunSession::backend_site(runtime::Run& run) {
  return {.loop = loop_,
          .clock = context_.clock,
          .events = run,
          .store = context_.store(),
          .open_store =
              [type = context_.top.datastore, root = context_.store().storage().root(), flow = context_.flow.name] {
                return std::make_unique<store::FlowStore>(store::open_storage(type, root), flow);
              },
          .run = run_,
          .max_log_size = plan_.options().max_log_size,
          .command = context_.language.task_command(),
          .command_forks = context_.language.has_fork_server(),
          .task_environment = task_environment()};
}

void RunSession::execute(const store::TaskRef& parameters, const Cloning* cloning) {
  if (cloning == nullptr) make_latest();
  const std::unique_ptr<store::BackgroundStorage> background = context_.store().storage().in_background(loop_);
  base::BackgroundWork work(loop_);
  runtime::Run run({plan_.graph(), context_.store(), *background, metadata_.writer(), journal_, loop_, context_.clock,
                    output_.reporter(),
                    [this, &work](std::function<void()> done) {
                      work.start([root = context_.local_root()] { base::sync_file_system(root); }, std::move(done));
                    },
                    [this] { return keeper_.holds(); }},
                   run_options(cloning == nullptr || cloning->origin_is_known), parameters);
  output_.on_stop([this, &run, signals = 0](int signal) mutable {
    if (++signals == 2) {
      // Bounds the time of destructors that write to a store that does not answer.
      base::end_process_within(
          kAfterSecondSignal, 1,
          fmt::format("\nAborted! Pending operations were abandoned. To continue: {} resume\n", context_.command()));
    }
    run.interrupt(signal == SIGINT ? "Workflow interrupted. Its tasks are asked to stop; Ctrl-C again kills them."
                                   : fmt::format("Workflow interrupted by {}.", base::signal_name(signal)));
  });
  const LeaseEvents events(loop_, keeper_, context_, run);
  compute::RunPlan& plan = plan_.run_plan();
  const std::unique_ptr<compute::Router> backend = plan.make_backends(backend_site(run));
  if (!plan.remote_steps().empty()) run.mark_remote(plan.remote_steps(), plan.store_code(context_.store()));
  if (cloning != nullptr) {
    run.clone(cloning->origin);
    if (!run.stopping()) {
      print_text(fmt::format("{}/{} cloned!", context_.flow.name, cloning->origin.run()));
      cloning->done();
      // If another scheduler has taken over the run while this one was suspended, `resume` must continue that run.
      if (run.await_hold()) {
        make_latest();
        print_text(run.outlook());
      }
    }
  }
  output_.on_suspend([&backend] { backend->suspend(); }, [&backend] { backend->proceed(); });
  try {
    run.execute(*backend);
  } catch (const Error& error) {
    if (!run.concluded()) emit_failure(error);
    // Destructors must not wait again for a store that does not answer.
    if (error.code() == ErrorCode::data_store)
      base::end_process_within(kAfterStoreError, 1, fmt::format("{}:\n{}\n", error.headline(), error.what()));
    throw;
  }
}

/// The last event of a run that could not come to its regular end.
void RunSession::emit_failure(const Error& error) {
  const std::int64_t now = context_.clock.wall_microseconds();
  output_.reporter().emit(runtime::run_ended_event(now, store::RunEnd::failed, error.message(), {}, now - began_));
  output_.reporter().flush();
}

}  // namespace metaflow::cli
