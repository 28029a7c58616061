// run: executes the flow. init: registers a run without executing it.
#include <algorithm>
#include <memory>

#include <metaflow/error.h>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/run_session.h"
#include "runtime/parameters.h"

namespace metaflow::cli {

namespace {

struct RunCommandOptions {
  ExecutionOptions execution;
  std::vector<detail::ParameterDescription> parameters;
  std::vector<std::optional<std::string>> given;  // per parameter; nullopt: its default
  std::vector<std::string> tags;                  // init only
  std::string run_id;
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
std::vector<Option> parameter_list(Context& context, const std::shared_ptr<RunCommandOptions>& options) {
  options->parameters = runtime::parameter_options(context.language);
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
                      // An invalid value is an error of the command line, before anything starts.
                      runtime::check_parameter(options->parameters[p], value, context.language.value_check());
                      options->given[p] = value;
                    }});
  }
  return list;
}

int run(Context& context, RunCommandOptions& options) {
  ExecutionPlan plan(context, options.execution);
  continue_guarded(context);
  runtime::LeaseKeeper keeper(context.store().storage(), storage_opener(context));
  RunSession session(plan, {.command = "run"}, keeper);
  const store::TaskRef parameters = session.store_parameters(runtime::save_parameters(
      plan.graph(), context.language, context.store(), options.parameters, options.given, context.file_name()));
  session.execute(parameters, nullptr);
  return 0;
}

int init(Context& context, RunCommandOptions& options) {
  store::check_tags(options.tags);
  if (!is_name(store::NameKind::run, options.run_id) || !is_name(store::NameKind::task, options.task_id)) {
    throw Error(ErrorCode::usage, "--run-id and --task-id may only have letters, digits, '-', '_' and '.'");
  }
  const graph::Graph graph = context.make_graph();
  store::FlowStore& store = context.store(true);
  base::EventLoop loop(context.clock);
  RunMetadata provider(context, loop, [](const std::string& text) { Context::echo_always(text + "\n"); });
  store::MetadataWriter& metadata = provider.writer();
  metadata.register_run(options.run_id, options.tags, system_tags(context));
  metadata.new_step(options.run_id, "_parameters");
  const store::TaskRef task{options.run_id, "_parameters", options.task_id};
  metadata.register_task(task);
  write_parameters_task(
      context, graph, metadata, task,
      runtime::save_parameters(graph, context.language, store, options.parameters, options.given, context.file_name()));
  while (!metadata.idle()) loop.run_once();
  return 0;
}

}  // namespace

Command run_command(Context& context) {
  auto options = std::make_shared<RunCommandOptions>();
  Command command{.name = "run",
                  .help = "Execute the flow. Tasks run on this machine, unless a decorator names another platform."};
  command.options = parameter_list(context, options);
  append_execution_options(command.options, options->execution, "RUN");
  command.examples = {{"--max-workers 4", "Run at most four tasks at the same time."},
                      {"--with retry:times=2", "Retry each task that fails, up to twice."},
                      {"--with kubernetes:cpu=2,memory=8000", "Run the tasks in a Kubernetes cluster."}};
  command.run = [&context, options] { return run(context, *options); };
  return command;
}

Command init_command(Context& context) {
  auto options = std::make_shared<RunCommandOptions>();
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
