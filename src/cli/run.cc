// run, init: executing the flow.
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <memory>

#include <metaflow/error.h>
#include <metaflow/version.h>

#include "base/event_loop.h"
#include "base/files.h"
#include "base/process.h"
#include "base/text.h"
#include "cli/commands.h"
#include "compute/local/local_backend.h"
#include "runtime/parameters.h"
#include "runtime/run.h"
#include "runtime/task/memory.h"

namespace metaflow::cli {

namespace {

struct Options {
  runtime::RunOptions run;
  std::size_t max_num_splits = 100;
  std::size_t max_log_size = 10;
  std::vector<std::string> tags;
  std::vector<std::string> with;
  std::optional<std::string> name_space;
  std::string run_id_file;
  std::string runner_attribute_file;
  bool json = false;
  std::vector<runtime::ParameterOption> parameters;
  std::vector<std::optional<std::string>> given;  // per parameter
  std::string run_id;                             // of init
  std::string task_id;
};

std::string metavar(detail::ParameterType type) {
  switch (type) {
    case detail::ParameterType::integer: return "INTEGER";
    case detail::ParameterType::real: return "FLOAT";
    case detail::ParameterType::boolean: return "BOOLEAN";
    case detail::ParameterType::json: return "JSON";
    case detail::ParameterType::text:
    case detail::ParameterType::list: break;
  }
  return "TEXT";
}

/// The flow's parameters as options.
std::vector<Option> parameter_list(Context& context, const std::shared_ptr<Options>& options) {
  options->parameters = runtime::parameter_options(context.flow);
  options->given.resize(options->parameters.size());
  std::vector<Option> list;
  for (std::size_t p = 0; p < options->parameters.size(); ++p) {
    const auto& parameter = options->parameters[p];
    std::string variable = "METAFLOW_RUN_" + base::upper(parameter.option);
    std::replace(variable.begin(), variable.end(), '-', '_');
    list.push_back({.name = "--" + parameter.option,
                    .metavar = metavar(parameter.type),
                    .help = parameter.help,
                    .shown_default = parameter.default_text,
                    .environment = variable,
                    .required = parameter.required,
                    .set = [&context, options, p](const std::string& value) {
                      const runtime::FlowObject scratch(context.flow);  // says now what is wrong with the value
                      runtime::set_parameter(scratch, options->parameters[p], value);
                      options->given[p] = value;
                    }});
  }
  return list;
}

std::vector<std::string> system_tags(Context& context) {
  return {"runtime:" + context.settings.get("RUNTIME_NAME", "dev"), "user:" + context.user(),
          "metaflow_version:2.19.38+cpp" METAFLOW_CPP_VERSION, "language:c++"};
}

/// What tasks get besides what this process has. METAFLOW_SCHEDULER_PID: a task dies with its scheduler.
std::vector<std::string> task_environment(Context& context, const std::string& run_id) {
  const std::vector<std::string> own{"METAFLOW_USER=" + context.user(), "METAFLOW_RUN_ID=" + run_id,
                                     "METAFLOW_SCHEDULER_PID=" + std::to_string(::getpid())};
  std::vector<std::string> variables = own;
  for (std::string& variable : base::own_environment()) {
    const std::string name = variable.substr(0, variable.find('=') + 1);
    const bool replaced =
        std::any_of(own.begin(), own.end(), [&](const std::string& o) { return o.starts_with(name); });
    if (!replaced) variables.push_back(std::move(variable));
  }
  return variables;
}

/// The pseudo task `_parameters`, written and visible.
void write_parameters(Context& context, const graph::Graph& graph, store::FlowStore& store,
                      store::MetadataWriter& metadata, const Options& options, const std::string& run_id,
                      const std::string& task_id) {
  store::TaskData data = runtime::save_parameters(graph, store, options.parameters, options.given, context.file_name());
  const store::TaskRef task{run_id, "_parameters", task_id};
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

int run(Context& context, Options& options) {
  store::check_tags(options.tags);
  const graph::Graph graph = context.make_graph(options.with);
  context.echo("Validating your flow...\n    The graph looks good!\n");

  runtime::cap_memory();
  store::FlowStore& store = context.store(true);
  base::make_directories(context.local_root());
  const store::Storage& storage = store.storage();
  store::LocalMetadataWriter metadata(context.local_root(), context.flow.name, context.user(),
                                      std::string(storage.type()), storage.root(), context.clock);
  auto reporter = options.json ? runtime::json_reporter() : runtime::text_reporter(::isatty(1) == 1);

  const std::string run_id = metadata.new_run(options.tags, system_tags(context));
  base::replace_file(fmt::format("{}/{}/latest_run", context.local_root(), context.flow.name), run_id);
  if (!options.run_id_file.empty()) base::write_output_file(options.run_id_file, run_id);
  reporter->print({runtime::ReportLine::Kind::run,
                   context.clock.wall_microseconds(),
                   {},
                   {},
                   fmt::format("Workflow starting (run-id {}):", run_id)});
  reporter->flush();

  metadata.new_step(run_id, "_parameters");
  const std::string task_id = metadata.new_task(run_id, "_parameters");
  write_parameters(context, graph, store, metadata, options, run_id, task_id);
  if (!options.runner_attribute_file.empty()) {
    base::write_output_file(options.runner_attribute_file,
                            graph::Json{{"run_id", run_id},
                                        {"flow_name", context.flow.name},
                                        {"metadata", "local@" + base::absolute_path(context.local_root() + "/..")}}
                                .dump());
  }

  runtime::RunOptions run_options = options.run;
  run_options.max_num_splits = options.max_num_splits;
  run_options.max_log_size = options.max_log_size;
  run_options.tags = options.tags;
  run_options.name_space = options.name_space.value_or("user:" + context.user());
  run_options.with = context.all_with(options.with);

  base::EventLoop loop(context.clock);
  base::SignalReader signals({SIGINT, SIGTERM, SIGHUP});
  runtime::Run run({graph, store, metadata, loop, context.clock, *reporter}, run_options, run_id);
  compute::LocalBackend backend(loop, run, base::own_executable(), task_environment(context, run_id));
  loop.watch(signals.fd(), [&] {
    while (const int signal = signals.next()) {
      run.interrupt(
          signal == SIGINT
              ? "Workflow interrupted. Please avoid pressing Ctrl+C again to let the workflow clean up process finish."
              : fmt::format("Workflow interrupted by {}.", base::signal_name(signal)));
    }
  });
  run.execute(backend);
  return 0;
}

int init(Context& context, Options& options) {
  store::check_tags(options.tags);
  if (!store::valid_path_name(options.run_id) || !store::valid_path_name(options.task_id)) {
    throw Error(ErrorCode::usage, "--run-id and --task-id are names of letters, digits, '-', '_' and '.'");
  }
  const graph::Graph graph = context.make_graph();
  store::FlowStore& store = context.store(true);
  const store::Storage& storage = store.storage();
  store::LocalMetadataWriter metadata(context.local_root(), context.flow.name, context.user(),
                                      std::string(storage.type()), storage.root(), context.clock);
  metadata.register_run(options.run_id, options.tags, system_tags(context));
  metadata.new_step(options.run_id, "_parameters");
  metadata.register_task({options.run_id, "_parameters", options.task_id});
  write_parameters(context, graph, store, metadata, options, options.run_id, options.task_id);
  return 0;
}

}  // namespace

Command run_command(Context& context) {
  auto options = std::make_shared<Options>();
  Command command{.name = "run", .help = "Run the workflow locally."};
  command.options = parameter_list(context, options);
  const std::vector<Option> own{
      {.name = "--tag",
       .metavar = "TEXT",
       .help = "Annotate this run with the given tag. You can specify this option multiple times to attach multiple "
               "tags in the run.",
       .environment = "METAFLOW_RUN_TAGS",
       .multiple = true,
       .set = append_text(options->tags)},
      {.name = "--max-workers",
       .metavar = "INTEGER",
       .help = "Maximum number of parallel processes.",
       .shown_default = "16",
       .environment = "METAFLOW_RUN_MAX_WORKERS",
       .set = store_number("--max-workers", options->run.max_workers, 1)},
      {.name = "--max-num-splits",
       .metavar = "INTEGER",
       .help = "Maximum number of splits allowed in a foreach. This is a safety check preventing bugs from triggering "
               "thousands of steps inadvertently.",
       .shown_default = "100",
       .environment = "METAFLOW_RUN_MAX_NUM_SPLITS",
       .set = store_number("--max-num-splits", options->max_num_splits, 1)},
      {.name = "--max-log-size",
       .metavar = "INTEGER",
       .help = "Maximum size of stdout and stderr captured in megabytes. If a step outputs more than this to "
               "stdout/stderr, its output will be truncated.",
       .shown_default = "10",
       .environment = "METAFLOW_RUN_MAX_LOG_SIZE",
       .set = store_number("--max-log-size", options->max_log_size, 0)},
      {.name = "--with",
       .metavar = "TEXT",
       .help = "Add a decorator to all steps. You can specify this option multiple times to attach multiple decorators "
               "in steps.",
       .environment = "METAFLOW_RUN_DECOSPECS",
       .multiple = true,
       .set = append_text(options->with)},
      {.name = "--run-id-file",
       .metavar = "TEXT",
       .help = "Write the ID of this run to the file specified.",
       .environment = "METAFLOW_RUN_RUN_ID_FILE",
       .set = store_text(options->run_id_file)},
      {.name = "--runner-attribute-file",
       .metavar = "TEXT",
       .help = "Write the metadata and pathspec of this run to the file specified. Used internally for Metaflow's "
               "Runner API.",
       .environment = "METAFLOW_RUN_RUNNER_ATTRIBUTE_FILE",
       .set = store_text(options->runner_attribute_file)},
      {.name = "--namespace",
       .metavar = "TEXT",
       .help = "Change namespace from the default (your username) to the specified tag.",
       .environment = "METAFLOW_RUN_USER_NAMESPACE",
       .set = [options](const std::string& value) { options->name_space = value; }},
      {.name = "--json", .help = "Print the run as JSON, one object per line.", .set = store_flag(options->json)},
  };
  command.options.insert(command.options.end(), own.begin(), own.end());
  command.run = [&context, options] { return run(context, *options); };
  return command;
}

Command init_command(Context& context) {
  auto options = std::make_shared<Options>();
  Command command{.name = "init", .help = "Internal command to initialize a run.", .hidden = true};
  command.options = parameter_list(context, options);
  const std::vector<Option> own{
      {.name = "--run-id", .metavar = "TEXT", .required = true, .set = store_text(options->run_id)},
      {.name = "--task-id", .metavar = "TEXT", .required = true, .set = store_text(options->task_id)},
      {.name = "--tag", .metavar = "TEXT", .multiple = true, .set = append_text(options->tags)},
  };
  command.options.insert(command.options.end(), own.begin(), own.end());
  command.run = [&context, options] { return init(context, *options); };
  return command;
}

}  // namespace metaflow::cli
