#include "cli/several_flows.h"

#include <algorithm>
#include <csignal>
#include <memory>
#include <string>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/fork_protocol.h"
#include "base/format.h"
#include "base/process.h"
#include "base/text.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/manual.h"
#include "runtime/task/failure.h"

namespace metaflow::cli {

namespace {

std::string join_names(const std::vector<FlowName>& flows) {
  std::vector<std::string> names;
  for (const FlowName& flow : flows) names.emplace_back(flow.name);
  return base::join(names, ", ");
}

/// The manual of the program, and with --output also those of its flows.
Command manual_of_program(const Command& root, const std::vector<FlowName>& flows, const std::string& file_name) {
  Command command = manual_command(root, file_name, file_name);
  auto directory = std::make_shared<std::string>();
  Option& output = command.options.front();
  output.set = [directory, set = output.set](const std::string& value) {
    *directory = value;
    set(value);
  };
  command.run = [directory, run = command.run, &flows] {
    const int result = run();
    for (const FlowName& flow : flows) {
      if (directory->empty()) break;
      std::vector<std::string> words = base::own_command();
      words.insert(words.end(), {std::string(flow.name), "man", "--output", *directory});
      if (base::run_in_foreground(words, base::own_environment()) != 0) return 1;
    }
    return result;
  };
  return command;
}

/// Makes the flows and the commands of the program. They refer to `root` and `flows`.
void make_commands(const std::vector<FlowName>& flows, const std::string& called_as, const std::string& file_name,
                   Command& root) {
  root.help = fmt::format(
      "This program has {0} flows. The first word of a command line names the flow: '{1} {2} run' runs {2}, "
      "'{1} {2} help' shows its commands.",
      flows.size(), file_name, flows[0].name);
  root.unit = "flow";
  root.default_command = "help";
  for (const FlowName& flow : flows) {
    root.commands.push_back({.name = std::string(flow.name), .help = std::string(flow.doc), .section = "Flows"});
  }
  root.commands.push_back(version_command());
  auto named = std::make_shared<std::vector<std::string>>();
  root.commands.push_back(
      {.name = "help",
       .help = "Show the flows and commands of this program, or the help of one of them.",
       .arguments = {{.name = "NAME", .kind = ValueKind::command, .required = false, .set = append_text(*named)}},
       .run = [&root, named, file_name] {
         named->push_back("--help");
         return execute(root, file_name, *named, base::Settings());
       }});
  root.commands.push_back(completion_command(called_as));
  root.commands.push_back(manual_of_program(root, flows, file_name));
  root.commands.push_back(
      complete_command(root, [](ValueKind, const std::string&) { return std::vector<Candidate>(); }));
}

}  // namespace

std::optional<NamedFlow> find_named_flow(const std::vector<FlowName>& flows, int argc, char** argv) {
  const auto index_of = [&](int word) -> std::optional<std::size_t> {
    if (word >= argc) return std::nullopt;
    const auto found =
        std::find_if(flows.begin(), flows.end(), [&](const auto& flow) { return flow.name == argv[word]; });
    if (found == flows.end()) return std::nullopt;
    return static_cast<std::size_t>(found - flows.begin());
  };
  const auto without_word = [&](std::size_t index, int word) {
    std::rotate(argv, argv + word, argv + word + 1);
    return NamedFlow{index, argc - 1, argv + 1};
  };
  if (const auto index = index_of(1)) return without_word(*index, 1);
  if (argc < 3) return std::nullopt;
  const std::string_view command = argv[1];
  // The words of a task's command, which a supervisor starts again, name the flow, too.
  if (command == "supervise") {
    const auto end = std::find(argv + 2, argv + argc, std::string_view("--"));
    const auto index = index_of(static_cast<int>(end - argv) + 1);
    return index ? std::optional(NamedFlow{*index, argc, argv}) : std::nullopt;
  }
  // These commands are those of the flow that the next word names.
  int next = 2;
  if (command == "complete" && std::string_view(argv[2]) == "--") ++next;
  const bool takes_flow = command == "help" || command == "man" || (command == "complete" && next + 1 < argc);
  const auto index = takes_flow ? index_of(next) : std::nullopt;
  return index ? std::optional(without_word(*index, next)) : std::nullopt;
}

int run_without_flow(const std::vector<FlowName>& flows, int argc, char** argv) {
  if (base::is_fork_server(argc, argv)) return 1;
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "symbolize") return runtime::symbolize(argc, argv);
  ::signal(SIGPIPE, SIG_IGN);
  const std::string called_as = argc > 0 ? argv[0] : "";
  const std::string file_name = called_as.substr(called_as.rfind('/') + 1);
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  if (first == "--version") words[0] = "version";
  Command root;
  make_commands(flows, called_as, file_name, root);
  std::vector<std::string> quoted;
  for (const std::string& word : words) quoted.push_back(base::shell_quoted(word));
  try {
    return execute(root, file_name, words, base::Settings());
  } catch (const Error& error) {
    const bool is_command = find_command(root, words.empty() ? "" : words[0]) != nullptr;
    if (error.code() != ErrorCode::usage || is_command ||
        std::string_view(error.what()).find("Did you mean") != std::string_view::npos)
      throw;
    throw Error(ErrorCode::usage,
                fmt::format("{}\nName the flow first: {} {} {}\nThe flows of this program: {}", error.what(), file_name,
                            flows[0].name, base::join(quoted, " "), join_names(flows)));
  }
}

}  // namespace metaflow::cli
