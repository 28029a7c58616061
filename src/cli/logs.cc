// logs: the output of tasks.

#include <unistd.h>

#include <algorithm>
#include <optional>

#include <metaflow/error.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/paths.h"
#include "store/mflog.h"
#include "value/json_value.h"

namespace metaflow::cli {

using store::LogSource;
using store::Stream;

namespace {

struct LogsOptions {
  std::string path;
  bool out = false;
  bool err = false;
  bool both = false;
  bool timestamps = false;
  std::optional<std::size_t> attempt;
  bool json = false;
  bool all_attempts = false;
  bool include_not_done = false;
};

std::vector<Stream> streams(const LogsOptions& options) {
  if (options.both || options.out == options.err) return {Stream::out, Stream::err};
  return {options.out ? Stream::out : Stream::err};
}

int attempt_of(Context& context, const LogsOptions& options, const store::TaskRef& task) {
  if (options.attempt) return static_cast<int>(*options.attempt);
  return context.store().latest_attempt(task).value_or(0);
}

/// The tasks of the path; with --attempt only those that have this attempt. Throws Error{not_found} if there are none.
std::vector<store::TaskRef> tasks_of(Context& context, const LogsOptions& options) {
  auto tasks = tasks_of_path(context, options.path);
  if (!options.attempt) return tasks;
  const store::TaskRef first = tasks[0];
  std::erase_if(tasks, [&](const store::TaskRef& task) {
    const auto latest = context.store().latest_attempt(task);
    return !latest || static_cast<std::size_t>(*latest) < *options.attempt;
  });
  if (!tasks.empty()) return tasks;
  const auto latest = context.store().latest_attempt(first);
  throw Error(ErrorCode::not_found,
              fmt::format("Task {}/{} has no attempt {}", context.flow.name, first.path(), *options.attempt),
              latest ? fmt::format("Its latest attempt is {}.", *latest) : "It has not started yet.");
}

/// The lines of one stream, from the logs of the scheduler and of the task's supervisor.
struct Lines {
  std::vector<base::SharedBytes> memory;  // owns the text of `lines`
  std::vector<store::LogLine> lines;
};

Lines read_lines(Context& context, const store::TaskRef& task, int attempt, Stream stream) {
  Lines result;
  std::vector<std::string_view> logs;
  for (LogSource source : {LogSource::runtime, LogSource::task}) {
    if (auto log = context.store().read_log(task, attempt, source, stream)) result.memory.push_back(std::move(*log));
  }
  for (const auto& log : result.memory) logs.push_back(log.text());
  result.lines = store::merge_logs(logs);
  return result;
}

int show(Context& context, const LogsOptions& options) {
  const bool is_terminal = ::isatty(STDOUT_FILENO) == 1;  // a file or pipe gets every character
  for (const store::TaskRef& task : tasks_of(context, options)) {
    const int attempt = attempt_of(context, options, task);
    context.echo(fmt::format("Dumping logs of run_id={} step={} task_id={}\n", task.run, task.step, task.task));
    for (Stream stream : streams(options)) {
      const Lines lines = read_lines(context, task, attempt, stream);
      std::string text;
      if (!options.json) context.echo(fmt::format("{}\n", store::name_of(stream)));
      for (const store::LogLine& line : lines.lines) {
        const std::int64_t time = line.time.empty() ? 0 : store::microseconds_of_log_time(line.time);
        if (options.json) {
          text += base::Json{{"task", task.path()},
                             {"attempt", attempt},
                             {"stream", store::name_of(stream)},
                             {"time", line.time.empty() ? "" : line.time + "Z"},
                             {"text", base::replace_invalid_utf8(line.text)}}
                      .dump() +
                  "\n";
          continue;
        }
        if (options.timestamps && time != 0) text += base::local_time(time) + " ";
        text += is_terminal ? base::visible_output(line.text) : line.text;
        text += '\n';
      }
      options.json ? Context::print(text) : base::write_all(STDOUT_FILENO, text);
    }
  }
  return 0;
}

int scrub(Context& context, const LogsOptions& options) {
  for (const store::TaskRef& task : tasks_of(context, options)) {
    const auto latest = context.store().latest_attempt(task);
    if (!latest) continue;
    int first = options.attempt ? attempt_of(context, options, task) : *latest;
    int last = first;
    if (options.all_attempts) {
      first = 0;
      last = *latest;
    }
    for (int attempt = first; attempt <= last; ++attempt) {
      if (!options.include_not_done && !context.store().is_done(task, attempt)) {
        context.echo(fmt::format("Attempt {} of {}/{} is not done; use --include-not-done to scrub it\n", attempt,
                                 context.flow.name, task.path()));
        continue;
      }
      for (Stream stream : streams(options)) {
        for (LogSource source : {LogSource::runtime, LogSource::task}) {
          if (!context.store().read_log(task, attempt, source, stream)) continue;
          const std::string line =
              store::format_log_line(context.clock.wall_microseconds(), store::name_of(source),
                                     fmt::format("[REDACTED {} {}]", store::name_of(source), store::name_of(stream)));
          const auto bytes = base::as_bytes(line);
          context.store().write_log(task, attempt, source, stream, store::Pieces(&bytes, 1));
        }
      }
      Context::print(fmt::format("Logs have been scrubbed for {} - attempt {}\n", task.path(), attempt));
    }
  }
  return 0;
}

std::vector<Option> stream_options(const std::shared_ptr<LogsOptions>& options, const std::string& verb) {
  return {{.name = "--stdout", .help = verb + " stdout of the task.", .set = store_flag(options->out)},
          {.name = "--stderr", .help = verb + " stderr of the task.", .set = store_flag(options->err)},
          {.name = "--both",
           .help = verb + " both stdout and stderr of the task (default).",
           .set = store_flag(options->both)},
          {.name = "--attempt",
           .metavar = "INTEGER",
           .help = "The number of the attempt. Default: the latest one.",
           .set = store_number("--attempt", options->attempt, 0)}};
}

}  // namespace

Command logs_command(Context& context) {
  auto options = std::make_shared<LogsOptions>();
  Command show_logs{
      .name = "show",
      .help =
          "Show the output of a task, or of all tasks of a step. INPUT_PATH is RUN/STEP or RUN/STEP/TASK; "
          "latest is the run that was started last."};
  show_logs.options = stream_options(options, "Show");
  show_logs.options.push_back({.name = "--timestamps",
                               .off_name = "--no-timestamps",
                               .help = "Show timestamps.",
                               .shown_default = "no-timestamps",
                               .set = store_flag(options->timestamps)});
  show_logs.options.push_back(
      {.name = "--json", .help = "Print the lines as JSON, one object per line.", .set = store_flag(options->json)});
  show_logs.arguments = {{.name = "INPUT_PATH", .kind = ValueKind::step_or_task, .set = store_text(options->path)}};
  show_logs.examples = {{"latest/start", "Show the output of all tasks of the step start of the last run."},
                        {"latest/start/1 --stderr --timestamps", "Show the error output of one task, with times."}};
  show_logs.run = [&context, options] { return show(context, *options); };

  Command scrub_logs{.name = "scrub",
                     .help = "Replace the stored output of a task, or of all tasks of a step, by a note."};
  scrub_logs.options = stream_options(options, "Scrub");
  scrub_logs.options.push_back({.name = "--all",
                                .off_name = "--latest",
                                .help = "Scrub all attempts, not the latest one only.",
                                .shown_default = "latest",
                                .set = store_flag(options->all_attempts)});
  scrub_logs.options.push_back(
      {.name = "--include-not-done",
       .help = "Also scrub steps that are not done. Use this for tasks that did not finish correctly.",
       .set = store_flag(options->include_not_done)});
  scrub_logs.arguments = {{.name = "INPUT_PATH", .kind = ValueKind::step_or_task, .set = store_text(options->path)}};
  scrub_logs.run = [&context, options] { return scrub(context, *options); };

  return {.name = "logs",
          .help = "Show or scrub the output of tasks.",
          .commands = {show_logs, scrub_logs},
          .default_command = "show",
          .forwards = true};
}

}  // namespace metaflow::cli
