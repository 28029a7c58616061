#include "cli/execution.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>

#include <metaflow/error.h>
#include <metaflow/version.h>

#include "base/background_writer.h"
#include "base/event_loop.h"
#include "base/files.h"
#include "base/format.h"
#include "base/guard.h"
#include "base/json.h"
#include "base/process.h"
#include "base/text.h"
#include "compute/router.h"
#include "runtime/task/memory.h"
#include "store/local/latest_run.h"
#include "store/local/local_metadata.h"
#include "store/open.h"
#include "store/service/service_metadata.h"

namespace metaflow::cli {

using runtime::ReportLine;

void append_execution_options(std::vector<Option>& list, ExecutionOptions& options, const std::string& command) {
  const std::string prefix = "METAFLOW_" + command + "_";
  const std::vector<Option> own{
      {.name = "--tag",
       .metavar = "TEXT",
       .help = "Annotate this run with the given tag. You can specify this option multiple times to attach multiple "
               "tags in the run.",
       .environment = prefix + "TAGS",
       .multiple = true,
       .set = append_text(options.tags)},
      {.name = "--max-workers",
       .metavar = "INTEGER",
       .help = "Maximum number of parallel processes.",
       .shown_default = "16",
       .environment = prefix + "MAX_WORKERS",
       .set = store_number("--max-workers", options.max_workers, 1)},
      {.name = "--max-num-splits",
       .metavar = "INTEGER",
       .help = "Maximum number of splits allowed in a foreach. This is a safety check preventing bugs from triggering "
               "thousands of steps inadvertently.",
       .shown_default = "100",
       .environment = prefix + "MAX_NUM_SPLITS",
       .set = store_number("--max-num-splits", options.max_num_splits, 1)},
      {.name = "--max-log-size",
       .metavar = "INTEGER",
       .help = "Maximum size of stdout and stderr captured in megabytes. If a step outputs more than this to "
               "stdout/stderr, its output will be truncated.",
       .shown_default = "10",
       .environment = prefix + "MAX_LOG_SIZE",
       .set = store_number("--max-log-size", options.max_log_size, 0)},
      {.name = "--with",
       .metavar = "TEXT",
       .help = "Add a decorator to all steps. You can specify this option multiple times to attach multiple decorators "
               "in steps.",
       .environment = prefix + "DECOSPECS",
       .multiple = true,
       .set = append_text(options.with)},
      {.name = "--run-id-file",
       .metavar = "TEXT",
       .help = "Write the ID of this run to the file specified.",
       .environment = prefix + "RUN_ID_FILE",
       .set = store_file("--run-id-file", options.run_id_file)},
      {.name = "--runner-attribute-file",
       .metavar = "TEXT",
       .help = "Write the metadata and pathspec of this run to the file specified. Used internally for Metaflow's "
               "Runner API.",
       .environment = prefix + "RUNNER_ATTRIBUTE_FILE",
       .set = store_file("--runner-attribute-file", options.runner_attribute_file)},
      {.name = "--namespace",
       .metavar = "TEXT",
       .help = "Change namespace from the default (your username) to the specified tag.",
       .environment = prefix + "USER_NAMESPACE",
       .set = [&options](const std::string& value) { options.name_space = value; }},
      {.name = "--quiet",
       .help = "Print what tasks print and what fails, and not when tasks start and finish.",
       .set = store_flag(options.quiet)},
      {.name = "--json", .help = "Print the run as JSON, one object per line.", .set = store_flag(options.json)},
  };
  list.insert(list.end(), own.begin(), own.end());
}

std::vector<std::string> system_tags(Context& context) {
  std::vector<std::string> tags{"runtime:" + context.settings.get("RUNTIME_NAME", "dev"), "user:" + context.user(),
                                "metaflow_version:2.19.38+cpp" METAFLOW_CPP_VERSION, "language:c++"};
  if (!context.flow.project.empty()) {
    tags.push_back("project:" + context.flow.project);
    tags.push_back("project_branch:" + context.project_branch());
  }
  return tags;
}

RunMetadata::RunMetadata(Context& context, base::EventLoop& loop, std::function<void(const std::string&)> tell) {
  const store::Storage& storage = context.store().storage();
  const std::string type(storage.type());
  if (!context.uses_service()) {
    writer_ = std::make_unique<store::LocalMetadataWriter>(context.local_root(), context.flow.name, context.user(),
                                                           type, storage.root(), context.clock);
    name_ = "local@" + base::absolute_path(context.local_root() + "/..");
    return;
  }
  client_ = std::make_unique<store::ServiceClient>(store::service_options(context.settings), loop, context.clock);
  client_->on_trouble(std::move(tell));
  writer_ = std::make_unique<store::ServiceMetadataWriter>(
      *client_, loop, context.clock,
      store::ServiceMetadataWriter::Options{context.flow.name, context.user(), type, storage.root()});
  name_ = "service@" + client_->url();
}

void write_parameters_task(Context& context, const graph::Graph& graph, store::MetadataWriter& metadata,
                           const store::TaskRef& task, store::TaskData data) {
  store::FlowStore& store = context.store();
  const std::int64_t now = context.clock.wall_microseconds();
  store.begin_attempt(task, 0, now);
  store.write_data(task, data);
  store.mark_done(task, 0);
  std::erase_if(data.artifacts, [](const auto& artifact) { return artifact.name == "_transition"; });
  metadata.add_artifacts(task, data, now);
  metadata.add_fields(task, 0,
                      {{"start_step", graph.step(graph.start()).name, "graph_structure"},
                       {"end_step", graph.step(graph.end()).name, "graph_structure"},
                       {"attempt-done", "0", ""}});
}

Execution::Execution(Context& context, const ExecutionOptions& options)
    : context_(context), options_(options), graph_(context.make_graph(options.with)), site_(context.run_site()) {
  store::check_tags(options.tags);
  plan_.emplace(context.platforms, site_, graph_);
  context.echo("Validating your flow...\n    The graph looks good!\n");
}

Execution::~Execution() {
  lease_.reset();  // the run is over
  finish_output();
}

/// A slow reader gets everything, unless the user asks to stop.
void Execution::finish_output() {
  if (!reporter_) return;
  const int stop = signals_ ? signals_->fd() : -1;
  const bool all = reporter_->finish(stop_was_asked_for_ ? base::kLastMoment : base::kReaderPatience, stop);
  if (!all && !stop_was_asked_for_ && signals_ && signals_->next() == 0) {
    Context::echo_last("The output was not read to its end. `logs` shows what tasks printed.\n", base::kLastMoment);
  }
}

void Execution::say(const std::string& text) {
  reporter_->print({ReportLine::Kind::run, context_.clock.wall_microseconds(), {}, {}, text});
  reporter_->flush();
}

void Execution::begin(const std::string& command, const std::string& origin,
                      const std::vector<std::string>& more_tags) {
  base::continue_under_guard([this](int signal) {
    Context::echo_last(fmt::format("The scheduler of this run was killed by {}. Its tasks were stopped; what had "
                                   "finished is stored. To carry on: "
                                   "{} resume\n",
                                   base::signal_name(signal), context_.program),
                       base::kLastMoment);
  });
  runtime::cap_memory();
  origin_ = origin;
  store::FlowStore& store = context_.store(true);
  base::make_directories(context_.local_root());
  loop_.emplace(context_.clock);
  auto out = std::make_unique<runtime::OutputQueue>(*loop_, context_.clock, STDOUT_FILENO);
  reporter_ = options_.json ? runtime::json_reporter(std::move(out), context_.clock)
                            : runtime::text_reporter(std::move(out), context_.clock, ::isatty(1) == 1, options_.quiet);
  metadata_.emplace(context_, *loop_, [this](const std::string& text) { say(text); });

  std::vector<std::string> tags = more_tags;
  for (const std::string& tag : options_.tags) {
    if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.push_back(tag);
  }
  if (!origin.empty()) say("Gathering required information to resume run (this may take a bit of time)...");
  run_ = metadata_->writer().new_run(tags, system_tags(context_));
  if (context_.uses_service() && store.has_run(run_)) {
    throw Error(ErrorCode::data_store,
                fmt::format("Run {}/{} of the metadata service is new, but there is one of this number in {}",
                            context_.flow.name, run_, store.storage().root()),
                "It is of another service, perhaps. Give each service a datastore root of its own.");
  }
  lease_.emplace(store.storage(), context_.flow.name, run_, "execute", context_.user(), run_, context_.clock);
  const std::string journal = store::journal_path(context_.local_root(), context_.flow.name, run_);
  base::make_directories(base::directory_of(journal));
  journal_.emplace(journal);
  store::RunBegin begin{command,
                        origin,
                        lease_->self().host,
                        ::getpid(),
                        options_.max_workers,
                        options_.name_space.value_or("user:" + context_.user()),
                        context_.all_with(options_.with),
                        tags,
                        context_.project_branch()};
  journal_->run_begins(context_.clock.wall_microseconds(), begin);
  journal_->flush();
  if (!options_.run_id_file.empty()) base::write_output_file(options_.run_id_file, run_);
  say(fmt::format("Workflow starting (run-id {}):", run_));
}

store::TaskRef Execution::new_parameters_task() {
  store::MetadataWriter& metadata = metadata_->writer();
  metadata.new_step(run_, "_parameters");
  metadata.expect_tasks(run_, "_parameters", 1);
  while (!metadata.ready(run_, "_parameters", 1)) loop_->run_once();
  return {run_, "_parameters", metadata.new_task(run_, "_parameters")};
}

void Execution::write_parameters(const store::TaskRef& task, store::TaskData data) {
  write_parameters_task(context_, graph_, metadata_->writer(), task, std::move(data));
  if (options_.runner_attribute_file.empty()) return;
  base::write_output_file(
      options_.runner_attribute_file,
      base::Json{{"run_id", run_}, {"flow_name", context_.flow.name}, {"metadata", metadata_->name()}}.dump());
}

void Execution::make_latest() { store::set_latest_run(context_.local_root(), context_.flow.name, run_); }

/// What tasks get besides what this process has. METAFLOW_SCHEDULER_PID: a task dies with its scheduler.
std::vector<std::string> Execution::task_environment() {
  std::vector<std::string> variables = base::own_environment();
  base::set_variable(variables, "METAFLOW_USER=" + context_.user());
  base::set_variable(variables, "METAFLOW_RUN_ID=" + run_);
  base::set_variable(variables, "METAFLOW_SCHEDULER_PID=" + std::to_string(::getpid()));
  return variables;
}

int Execution::execute(const store::TaskRef& parameters, runtime::Origin* origin) {
  runtime::RunOptions run_options;
  run_options.max_workers = options_.max_workers;
  run_options.max_num_splits = options_.max_num_splits;
  run_options.max_log_size = options_.max_log_size;
  run_options.tags = options_.tags;
  run_options.branch = context_.project_branch();
  run_options.name_space = options_.name_space.value_or("user:" + context_.user());
  run_options.with = context_.all_with(options_.with);
  run_options.origin_run = origin_;
  run_options.origin_is_known = origin_is_known_;
  run_options.program = context_.program;
  run_options.local_root = context_.local_root();

  base::EventLoop& loop = *loop_;
  const std::unique_ptr<store::BackgroundStorage> background = context_.store().storage().in_background(loop);
  signals_.emplace(std::vector{SIGINT, SIGTERM, SIGHUP});
  runtime::Run run(
      {graph_, context_.store(), *background, metadata_->writer(), *journal_, loop, context_.clock, *reporter_},
      run_options, parameters);
  loop.watch(signals_->fd(), [&] {
    while (const int signal = signals_->next()) {
      stop_was_asked_for_ = true;
      run.interrupt(signal == SIGINT ? "Workflow interrupted. Its tasks are asked to stop; Ctrl-C again kills them."
                                     : fmt::format("Workflow interrupted by {}.", base::signal_name(signal)));
    }
  });
  std::function<void()> renew = [&] {
    lease_->renew(*background);
    loop.after(runtime::Lease::kRenewEvery, renew);
  };
  loop.after(runtime::Lease::kRenewEvery, renew);
  const std::unique_ptr<compute::Router> backend = plan_->make_backends(
      {.loop = loop,
       .clock = context_.clock,
       .events = run,
       .store = context_.store(),
       .open_store =
           [type = context_.top.datastore, root = context_.store().storage().root(), flow = context_.flow.name] {
             return std::make_unique<store::FlowStore>(store::open_storage(type, root), flow);
           },
       .run = run_,
       .max_log_size = options_.max_log_size,
       .command = base::own_command(),
       .task_environment = task_environment()});
  if (!plan_->remote_steps().empty()) run.mark_remote(plan_->remote_steps(), plan_->store_code(context_.store()));
  if (origin != nullptr) {
    run.clone(*origin);
    if (!run.stopping()) {
      say(fmt::format("{}/{} cloned!", context_.flow.name, origin->run()));
      cloned_();
      make_latest();
      say(run.outlook());
    }
  }
  run.execute(*backend);
  return 0;
}

}  // namespace metaflow::cli
