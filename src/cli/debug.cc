// debug: executes one task of a run again, alone, on its inputs.

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <memory>
#include <set>

#include <metaflow/error.h>

#include "base/capture.h"
#include "base/files.h"
#include "base/format.h"
#include "base/process.h"
#include "base/temporary.h"
#include "base/text.h"
#include "base/trusted_file.h"
#include "cli/commands.h"
#include "cli/paths.h"
#include "compute/step_arguments.h"
#include "runtime/task/memory.h"
#include "store/journal.h"
#include "store/open.h"
#include "store/stored_artifact.h"

namespace metaflow::cli {

namespace {

struct DebugOptions {
  std::string path;
  std::optional<std::size_t> attempt;
  bool gdb = false;
  bool lldb = false;
  bool perf = false;
  bool valgrind = false;
  bool language_debugger = false;
  std::string wrap;
  std::string keep;
};

struct FoundAttempt {
  store::RunHistory run;
  store::AttemptHistory attempt;
  std::optional<std::string> distrust;  // why another user may have written the journal
};

/// Finds how the attempt was executed. A clone is followed to its origin.
FoundAttempt find_attempt(Context& context, store::TaskRef task, const DebugOptions& options) {
  std::set<std::string> seen;
  while (true) {
    if (!seen.insert(task.path()).second) {
      throw Error(ErrorCode::data_store,
                  fmt::format("The journals call task {}/{} a clone of itself", context.flow.name, task.path()));
    }
    const std::string path = store::journal_path(context.local_root(), context.flow.name, task.run);
    auto journal = base::read_checked_file(path);
    if (!journal && !context.store().has_run(task.run)) {
      throw context.no_run(task.run, context.datastore_root());
    }
    if (!journal) {
      throw Error(ErrorCode::invalid_command,
                  fmt::format("Run {}/{} has no journal, which is required to execute {} again", context.flow.name,
                              task.run, task.path()),
                  "The run was executed by Python or by an older version of this library.");
    }
    if (!journal->content) base::throw_errno("read", path, EACCES);
    store::RunHistory history = store::parse_journal(journal->content->text(), task.run);
    const auto clone = std::find_if(history.clones.begin(), history.clones.end(),
                                    [&](const store::CloneHistory& c) { return c.task == task; });
    if (clone != history.clones.end()) {
      context.echo(fmt::format("{} is a clone of {}.\n", task.path(), clone->from.path()));
      task = clone->from;
      continue;
    }
    // The newest attempt that called the step.
    for (auto at = history.attempts.rbegin(); at != history.attempts.rend(); ++at) {
      const bool wanted = options.attempt ? at->attempt == static_cast<int>(*options.attempt) : !at->fallback;
      if (at->task == task && wanted) {
        store::AttemptHistory attempt = *at;
        return {std::move(history), std::move(attempt), std::move(journal->distrust)};
      }
    }
    throw Error(ErrorCode::not_found, fmt::format("Task {}/{} has no attempt{}", context.flow.name, task.path(),
                                                  options.attempt ? fmt::format(" {}", *options.attempt) : ""));
  }
}

struct RecordedDecorators {
  std::vector<std::string> with;
  std::optional<std::string> distrust;  // why another user may have written them
};

/// The options --with of the run. The run's own user gets them in full. Other users get those of the journal, without
/// the ones whose values the journal does not have.
RecordedDecorators recorded_decorators(Context& context, const FoundAttempt& found) {
  const std::string& run = found.attempt.task.run;
  try {
    const auto file = base::read_checked_file(store::private_with_path(context.local_root(), context.flow.name, run));
    if (file && file->content) {
      if (auto with = store::parse_private_with(file->content->text())) return {std::move(*with), file->distrust};
    }
  } catch (const Error&) {  // the file of another user
  }
  const graph::DecoratorTable& table = context.platforms.decorators();
  RecordedDecorators recorded{table.for_tasks(found.run.begin.with), found.distrust};
  if (recorded.with.size() < found.run.begin.with.size()) {
    Context::echo_always(fmt::format(
        "Ignoring the decorator environment of run {}: only the user of the run can read its values.\n", run));
  }
  return recorded;
}

/// The decorators that the run was started with. They can set variables such as LD_PRELOAD. If another user may have
/// written them, they are ignored, and a message shows the options that add them again.
std::vector<std::string> trusted_decorators(Context& context, const FoundAttempt& found) {
  const RecordedDecorators recorded = recorded_decorators(context, found);
  if (!recorded.distrust) return recorded.with;
  std::string options;
  for (const std::string& spec : recorded.with) {
    const auto& given = context.top.with;
    if (std::find(given.begin(), given.end(), spec) == given.end())
      options += fmt::format(" --with {}", base::shell_quoted(spec));
  }
  if (!options.empty()) {
    Context::echo_always(
        fmt::format("Ignoring the decorators of run {}: another user may have written them ({}).\n"
                    "To use them, put this before 'debug':{}\n",
                    found.attempt.task.run, *recorded.distrust, options));
  }
  return {};
}

/// `with`: the decorators of the run.
compute::StepArguments arguments_of(Context& context, const FoundAttempt& found, const std::vector<std::string>& with,
                                    const std::string& scratch) {
  const store::AttemptHistory& attempt = found.attempt;
  compute::StepArguments arguments;
  arguments.flow = context.flow_word();
  arguments.datastore = context.top.datastore;
  arguments.datastore_root = context.datastore_root();
  arguments.with = context.platforms.decorators().for_tasks(context.all_with(with));
  arguments.step = attempt.task.step;
  arguments.run = attempt.task.run;
  arguments.task = attempt.task.task;
  arguments.split = attempt.split;
  arguments.split_index = attempt.index;
  arguments.retry_count = attempt.attempt;
  arguments.max_user_code_retries = attempt.attempt + 1;  // so that catch_ does not hide the exception
  arguments.scratch = scratch;
  arguments.name_space = found.run.begin.name_space;
  arguments.branch = found.run.begin.branch;
  arguments.origin_run_id = found.run.begin.origin;
  arguments.tags = found.run.begin.tags;
  arguments.inputs = compute::unpack_inputs(attempt.inputs);
  arguments.inputs_stored = arguments.inputs.empty();
  return arguments;
}

/// The directory that the task writes to. It is removed at the end unless it is kept.
class Scratch {
 public:
  /// `keep`: the user's directory; empty: a temporary one.
  explicit Scratch(const std::string& keep) : kept_(!keep.empty()) {
    path_ = kept_ ? base::absolute_path(keep) : base::make_temporary_directory("metaflow-debug-");
    if (kept_) base::make_directories(path_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    if (!kept_) std::filesystem::remove_all(path_, ignored);
  }

  void keep() { kept_ = true; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool kept_;
};

/// A program that executes the task.
struct Wrapper {
  std::vector<std::string> command;  // empty: none
  std::string package;               // of Debian; empty: not known
};

Wrapper wrapper_of(const DebugOptions& options, const std::string& scratch) {
  if (options.gdb) return {{"gdb", "-q", "-ex", "handle SIG62 nostop noprint pass", "--args"}, "gdb"};
  if (options.lldb) return {{"lldb", "--"}, "lldb"};
  if (options.perf) return {{"perf", "record", "-g", "-o", scratch + "/perf.data", "--"}, "linux-perf"};
  if (options.valgrind) return {{"valgrind"}, "valgrind"};
  return {base::split_words(options.wrap), ""};
}

/// The command before that of the task. Throws if PATH does not have the program.
std::vector<std::string> wrapper_command(const DebugOptions& options, const std::string& scratch) {
  const int chosen =
      int{options.gdb} + int{options.lldb} + int{options.perf} + int{options.valgrind} + int{!options.wrap.empty()};
  if (chosen > 1)
    throw Error(ErrorCode::usage, "Only one of --gdb, --lldb, --perf, --valgrind and --wrap can be given.");
  const Wrapper wrapper = wrapper_of(options, scratch);
  if (wrapper.command.empty()) return {};
  const std::string& program = wrapper.command.front();
  if (program.find('/') == std::string::npos && !base::search_path(program)) {
    throw Error(ErrorCode::invalid_command, fmt::format("Cannot execute the task under {}: it is not in PATH", program),
                wrapper.package.empty() ? std::string() : "Install it: sudo apt-get install " + wrapper.package);
  }
  return wrapper.command;
}

/// Prints the artifacts that the step has set, each with its value in the run.
void print_artifacts(Context& context, const store::TaskRef& task, int attempt, const std::string& scratch) {
  const auto fresh = std::make_shared<store::FlowStore>(
      store::open_storage(context.top.datastore, context.datastore_root(), scratch), context.flow.name);
  const auto data = fresh->read_attempt(task, attempt);
  if (!data || !data->ok) return;
  const auto recorded =
      context.store().is_done(task, attempt) ? context.store().read_attempt(task, attempt) : std::nullopt;
  auto text = [&](const store::ArtifactRecord& artifact) {
    constexpr std::uint64_t kLargest = 1 << 20;
    if (artifact.size > kLargest) return fmt::format("< {} >", base::human_bytes(artifact.size));
    const auto document = store::StoredArtifact(fresh, artifact).read_known();
    return document ? repr(document->root(), 200) : std::string(kOnlyPython);
  };
  Context::print("The step finished. Its artifacts (not stored in the run):\n");
  for (const store::ArtifactRecord& artifact : data->artifacts) {
    if (artifact.name.starts_with('_') || artifact.name == "name") continue;
    const store::ArtifactRecord* before = recorded && recorded->ok ? recorded->find(artifact.name) : nullptr;
    std::string note;
    if (before != nullptr)
      note = before->key == artifact.key ? "   (as in the run)" : "   (in the run: " + text(*before) + ")";
    Context::print(fmt::format("  {} = {}{}\n", artifact.name, text(artifact), note));
  }
}

int debug(Context& context, const DebugOptions& options) {
  const FoundAttempt found = find_attempt(context, task_of_path(context, options.path), options);

  Scratch scratch(options.keep);
  std::vector<std::string> command = wrapper_command(options, scratch.path());
  if (options.perf) scratch.keep();
  const bool wrapped = !command.empty();
  const std::vector<std::string> own = context.language.task_command();
  command.insert(command.end(), own.begin(), own.end());
  const std::vector<std::string> with = trusted_decorators(context, found);
  const auto words = compute::to_command_line(arguments_of(context, found, with, scratch.path()));
  command.insert(command.end(), words.begin(), words.end());

  std::vector<std::string> environment = base::own_environment();
  base::set_variable(environment, "METAFLOW_USER=" + context.user());
  base::set_variable(environment, "METAFLOW_RUN_ID=" + found.attempt.task.run);
  if (options.language_debugger) base::set_variable(environment, "METAFLOW_DEBUGGER=" + context.language.debugger());
  const graph::Graph graph = context.make_graph(with);
  if (const int step = graph.find(found.attempt.task.step); step >= 0) {
    if (const auto variables = graph::find_decorator<metaflow::environment>(graph.step(step).decorators)) {
      for (const auto& [name, value] : variables->vars) base::set_variable(environment, name + "=" + value);
    }
  }
  context.echo(fmt::format("Executing {} (attempt {}) again on its inputs. It writes to {}.\n",
                           found.attempt.task.path(), found.attempt.attempt, scratch.path()));
  runtime::cap_memory();
  const int status = base::run_in_foreground(command, environment);
  if (status == 0) print_artifacts(context, found.attempt.task, found.attempt.attempt, scratch.path());
  if (status > 128 && !wrapped)
    context.echo_always(fmt::format("The task was killed by {}.\n", base::signal_name(status - 128)));
  if (options.perf) context.echo(fmt::format("To see the profile: perf report -i {}/perf.data\n", scratch.path()));
  return status;
}

}  // namespace

Command debug_command(Context& context) {
  auto options = std::make_shared<DebugOptions>();
  Command command{.name = "debug",
                  .help =
                      "Execute one task of a run again, alone, on its inputs. The run is not changed. If the program "
                      "was rebuilt since, this tests the change."};
  command.options = {
      {.name = "--attempt",
       .metavar = "INTEGER",
       .help = "Number of the attempt. Default: the last one that called the step.",
       .set = store_number("--attempt", options->attempt, 0)},
      {.name = "--gdb", .help = "Execute under gdb; type run to start.", .set = store_flag(options->gdb)},
      {.name = "--lldb", .help = "Execute under lldb; type run to start.", .set = store_flag(options->lldb)},
      {.name = "--perf", .help = "Execute under perf record.", .set = store_flag(options->perf)},
      {.name = "--valgrind", .help = "Execute under valgrind.", .set = store_flag(options->valgrind)},
      {.name = "--wrap",
       .metavar = "TEXT",
       .help = "Execute under any other program: --wrap 'strace -f'.",
       .set = store_text(options->wrap)},
      {.name = "--keep",
       .metavar = "DIRECTORY",
       .kind = ValueKind::directory,
       .help = "Directory for the files that the task writes; it is kept.",
       .set = store_text(options->keep)},
  };
  command.arguments = {{.name = "RUN_ID/STEP_NAME/TASK_ID", .kind = ValueKind::task, .set = store_text(options->path)}};
  command.examples = {{"latest/start/1", "Execute the first task of the last run again."},
                      {"latest/start/1 --gdb", "The same under gdb."}};
  if (const std::string debugger = context.language.debugger(); !debugger.empty()) {
    command.options.insert(
        command.options.begin() + 1,
        {.name = "--" + debugger,
         .help = fmt::format("Stop in {} before the first line of the step, and where it throws.", debugger),
         .set = store_flag(options->language_debugger)});
    command.examples.front() = {"latest/start/1 --" + debugger, "Step through the first task of the last run."};
  }
  command.run = [&context, options] { return debug(context, *options); };
  return command;
}

}  // namespace metaflow::cli
