// The command line of a flow: selects the command, runs it and prints its errors.
#include "cli/main.h"

#include <sys/prctl.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <metaflow/detail/table.h>
#include <metaflow/error.h>

#include "base/background_work.h"
#include "base/background_writer.h"
#include "base/files.h"
#include "base/fork_protocol.h"
#include "base/format.h"
#include "base/process.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/job_commands.h"
#include "cli/manual.h"
#include "cli/supervise.h"
#include "compute/platform.h"
#include "compute/step_arguments.h"
#include "runtime/task/failure.h"
#include "runtime/task/task_process.h"

namespace metaflow::cli {

namespace {

void append_option_without_effect(std::vector<Option>& options, const char* name, TopOptions& top) {
  options.push_back({.name = name, .metavar = "TEXT", .hidden = true, .set = [&top, name](const std::string&) {
                       top.without_effect.insert(name);
                     }});
}

/// --package-suffixes, of a flow whose sources go to other hosts.
Option suffixes_option(const std::vector<std::string>& sources, TopOptions& top) {
  return {.name = "--package-suffixes",
          .metavar = "TEXT",
          .help = fmt::format("Send files with these suffixes to other hosts too, besides {}: .csv,.txt",
                              base::join(sources, ", ")),
          .environment = "METAFLOW_PACKAGE_SUFFIXES",
          .set = store_text(top.package_suffixes)};
}

/// Options that scripts pass to flows in Python. They are accepted and ignored; Context::begin() prints which.
void append_options_without_effect(std::vector<Option>& options, TopOptions& top) {
  for (const char* name : {"--event-logger", "--monitor", "--local-config-file"})
    append_option_without_effect(options, name, top);
  options.push_back(
      {.name = "--environment", .metavar = "[local]", .hidden = true, .set = [&top](const std::string& value) {
         std::string chosen;
         store_choice("--environment", chosen, {"local"})(value);
         top.without_effect.insert("--environment");
       }});
  options.push_back(
      {.name = "--pylint", .off_name = "--no-pylint", .hidden = true, .set = [&top](const std::string& on) {
         top.without_effect.insert(on == "1" ? "--pylint" : "--no-pylint");
       }});
  options.push_back({.name = "--force-rebuild-environments",
                     .off_name = "--no-force-rebuild-environments",
                     .hidden = true,
                     .set = [&top](const std::string&) { top.without_effect.insert("--force-rebuild-environments"); }});
}

/// `help` is `--help`, `help run` is `run --help`.
Command help_command(Context& context, const Command& root) {
  struct Options {
    std::vector<std::string> words;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  return {.name = "help",
          .help = "Show the commands of the flow, or the help of a command.",
          .options = {{.name = "--json",
                       .help = "Print all commands and options as JSON.",
                       .set = store_flag(options->json)}},
          .arguments = {{.name = "COMMAND",
                         .kind = ValueKind::command,
                         .required = false,
                         .multiple = true,
                         .set = append_text(options->words)}},
          .run = [&context, &root, options] {
            if (options->json) {
              Context::print(table_of(root).dump() + "\n");
              return 0;
            }
            std::vector<std::string> words = options->words;
            words.push_back("--help");
            Command without_banner = root;  // which is printed already
            without_banner.run = nullptr;
            return execute(without_banner, context.usage_name(), words, context.settings);
          }};
}

/// Makes all commands. They refer to `root`.
void make_commands(Context& context, Command& root) {
  TopOptions& top = context.top;
  root.help = context.flow.doc;
  root.options = {
      {.name = "--quiet",
       .off_name = "--not-quiet",
       .help = "Do not print messages about the command itself. May also follow the command.",
       .shown_default = "not-quiet",
       .environment = "METAFLOW_QUIET",
       .anywhere = true,
       .set = store_flag(top.quiet)},
      {.name = "--metadata",
       .metavar = "[service|local]",
       .help = "Where the list of runs is kept: in the metadata service, or in local files.",
       .shown_default = "local",
       .environment = "METAFLOW_METADATA",
       .set = store_choice("--metadata", top.metadata, {"service", "local"})},
      {.name = "--datastore",
       .metavar = "[local|s3]",
       .help = "Where artifacts and logs are stored.",
       .shown_default = "local",
       .environment = "METAFLOW_DATASTORE",
       .set = store_choice("--datastore", top.datastore, {"local", "s3"})},
      {.name = "--datastore-root",
       .metavar = "TEXT",
       .kind = ValueKind::directory,
       .help = "The directory .metaflow or the URL s3://BUCKET/PREFIX that has the runs.",
       .environment = "METAFLOW_DATASTORE_ROOT",
       .set = store_text(top.datastore_root)},
      {.name = "--with",
       .metavar = "TEXT",
       .kind = ValueKind::decorator,
       .help = "Add a decorator to all steps that do not have it: NAME or NAME:ATTRIBUTE=VALUE,... May be repeated.",
       .environment = "METAFLOW_DECOSPECS",
       .multiple = true,
       .set = append_text(top.with)},
  };
  append_options_without_effect(root.options, top);
  for (const auto& own : context.language.own_options())
    root.options.push_back(
        {.name = own.name, .metavar = own.value, .help = own.help, .multiple = true, .set = [](const std::string&) {}});
  if (const auto sources = context.language.source_suffixes(); sources.empty())
    append_option_without_effect(root.options, "--package-suffixes", top);
  else
    root.options.push_back(suffixes_option(sources, top));
  if (!context.flow.project.empty()) {
    root.options.push_back({.name = "--production",
                            .help = "Execute as a part of the production branch of the project.",
                            .environment = "METAFLOW_PRODUCTION",
                            .set = store_flag(top.production)});
    root.options.push_back({.name = "--branch",
                            .metavar = "TEXT",
                            .help = "Execute as a part of this branch of the project, instead of the user's own.",
                            .environment = "METAFLOW_BRANCH",
                            .set = store_text(top.branch)});
  }
  top.metadata = context.settings.get("DEFAULT_METADATA", "local");
  top.datastore = context.settings.get("DEFAULT_DATASTORE", "local");
  root.default_command = "check";
  root.run = [&context] {
    context.begin();
    return 0;
  };
  root.commands = {
      run_command(context),  resume_command(context),     status_command(context),     logs_command(context),
      dump_command(context), debug_command(context),      timeline_command(context),   runs_command(context),
      tag_command(context),  rm_command(context),         gc_command(context),         check_command(context),
      show_command(context), output_dot_command(context), output_raw_command(context), package_command(context)};
  for (const compute::Platform* platform : context.platforms.all()) {
    if (!platform->job_places().empty()) root.commands.push_back(job_commands(context, *platform));
  }
  root.commands.push_back(completion_command(context.program));
  root.commands.push_back(manual_command(root, context.usage_name(), context.flow.name));
  root.commands.push_back(version_command());
  root.commands.push_back(help_command(context, root));
  root.commands.push_back(init_command(context));
  root.commands.push_back(complete_command(root, values_of_flow(context)));
}

/// Whether the command is `step`. It bypasses the parser: it starts far more often than all other commands.
bool is_step(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const char* word = argv[i];
    if (std::strcmp(word, "step") == 0) return true;
    if (word[0] != '-') return false;
    const auto is = [word](const char* flag) { return std::strcmp(word, flag) == 0; };
    const bool is_flag =
        is("--quiet") || is("--not-quiet") || is("--production") || is("--pylint") || is("--no-pylint");
    if (!is_flag && std::strchr(word, '=') == nullptr) ++i;
  }
  return false;
}

int run_step_command(const Program& program, const compute::Platforms& platforms, int argc, char** argv) {
  char** const step = std::find_if(argv, argv + argc, [](const char* word) { return std::strcmp(word, "step") == 0; });
  runtime::prepare_task_process(step + 1 < argv + argc ? step[1] : "");
  const std::vector<std::string> command = base::own_command();
  // Without this, tools show the name of the executed file: the loader's, or "exe" (base::own_image).
  ::prctl(PR_SET_NAME, command.size() > 1 ? program.flow.name.c_str() : command[0].c_str() + command[0].rfind('/') + 1);
  return program.language.execute_task(program.flow, platforms.decorators(), compute::parse_step_arguments(argc, argv),
                                       command);
}

int run_commands(const Program& program, const compute::Platforms& platforms, int argc, char** argv) {
  const std::string called_as = argc > 0 ? argv[0] : program.flow.name;
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  for (std::string& word : words) {
    if (!word.starts_with('-')) break;
    if (word == "--version") word = "version";
  }
  Context context(program, platforms, called_as);
  Command root;
  make_commands(context, root);
  return execute(root, context.usage_name(), words, context.settings);
}

int run_line(const Program& program, const compute::Platforms& platforms, int argc, char** argv) {
  if (base::is_fork_server(argc, argv)) return 1;  // too late to become one (fork_protocol.h)
  if (is_step(argc, argv)) return run_step_command(program, platforms, argc, argv);
  if (argc > 1 && std::strcmp(argv[1], "symbolize") == 0) return runtime::symbolize(argc, argv);
  ::signal(SIGPIPE, SIG_IGN);
  if (argc > 1 && std::strcmp(argv[1], "supervise") == 0) return run_supervise_command(program, platforms, argc, argv);
  return run_commands(program, platforms, argc, argv);
}

}  // namespace

int run_and_report(const std::function<int()>& command) {
  const auto report = [&command] {
    try {
      ::signal(SIGXFSZ, SIG_IGN);  // exceeding the file size limit becomes an error of write(2)
      ::signal(SIGCHLD, SIG_DFL);  // while it is ignored, the kernel discards exit codes
      return command();
    } catch (const base::OutputClosed&) {
      return 128 + SIGPIPE;  // the exit code that a shell shows for a program killed by SIGPIPE
    } catch (const Error& error) {
      const std::string what = error.what();
      if (error.code() == ErrorCode::usage) {
        Context::echo_always(what.starts_with("Usage:") || what.starts_with("Error:") ? what + "\n"
                                                                                      : "Error: " + what + "\n");
        return 2;
      }
      if (error.code() == ErrorCode::interrupted) {
        Context::echo_last("\nAborted!\n", base::kInterruptedTimeout);
        return 1;
      }
      Context::echo_last(error_block(error.headline(), what), base::kReaderTimeout);
      return 1;
    } catch (const std::exception& error) {
      Context::echo_last(error_block("Internal error", error.what()), base::kReaderTimeout);
      return 1;
    }
  };
  return base::end_process(report());
}

int run_program(const Program& program, const compute::Platforms& platforms, int argc, char** argv) {
  return run_and_report([&] { return run_line(program, platforms, argc, argv); });
}

}  // namespace metaflow::cli
