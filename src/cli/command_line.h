// Options, commands and help. The command line behaves like click, which Metaflow uses.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/settings.h"

namespace metaflow::cli {

/// The kind of a value, for completion. Choices are in the metavar: "[local|s3]".
enum class ValueKind : std::uint8_t {
  other,
  file,
  directory,
  run,           // an id, or latest
  step,          // a name
  step_or_task,  // RUN/STEP or RUN/STEP/TASK
  task,          // RUN/STEP/TASK
  decorator,     // NAME or NAME:ATTRIBUTE=VALUE,...
  command,       // the words of a command
};

/// One option. Its value comes from the command line, else from the environment variable, else from the configuration
/// file that has this variable. Without any of them the option is not set.
struct Option {
  std::string name{};        // "--max-workers"
  std::string short_name{};  // "-o"
  std::string off_name{};    // the name that switches a flag off: "--not-quiet"
  std::string metavar{};     // "INTEGER"; empty: a flag
  ValueKind kind = ValueKind::other;
  std::string help{};
  std::string shown_default{};
  std::string environment{};  // "METAFLOW_RUN_MAX_WORKERS"
  bool required = false;
  bool multiple = false;  // may be repeated; in the environment: separated by white space
  bool hidden = false;
  bool anywhere = false;                          // of a group: may also stand after its command
  std::function<void(const std::string&)> set{};  // a flag gets "1" or "0"
};

/// A positional argument.
struct Argument {
  std::string name{};  // "INPUT_PATH"
  ValueKind kind = ValueKind::other;
  std::vector<std::string> choices{};  // of few; empty: others
  bool required = true;
  bool multiple = false;
  std::function<void(const std::string&)> set{};
};

/// A command line of a command, for its help.
struct Example {
  std::string words{};  // after the names of the program and the command
  std::string help{};
};

/// A command with its options and arguments. A group has subcommands.
struct Command {
  std::string name{};
  std::string help{};                // its first sentence is shown in the list of commands
  std::string section = "Commands";  // of the list of commands that shows it
  bool hidden = false;
  std::vector<Option> options{};
  std::vector<Argument> arguments{};
  std::vector<Command> commands{};
  std::vector<Example> examples{};
  std::string unit = "command";   // of a group: the word for its commands
  std::string default_command{};  // of a group: runs if no command is named
  bool forwards = false;          // unknown words belong to the default command
  bool standalone = false;        // the function of its group is not called before it
  std::function<int()> run{};     // after all options are set; of a group: before its command, the result is ignored
};

/// Parses the words after the program's name and runs the command. Returns its exit code. Throws Error{usage} with the
/// message that click prints, usage line included. `program` appears in the usage line.
int execute(const Command& root, const std::string& program, const std::vector<std::string>& words,
            const base::Settings& settings);

/// "Usage: flow [OPTIONS] COMMAND [ARGS]..."
std::string usage_line(const Command& command, const std::string& path);

/// The text of --help.
std::string help_text(const Command& command, const std::string& path);

/// The command with its options, arguments and subcommands, without the hidden ones, as JSON.
base::Json table_of(const Command& command);

/// The first sentence of the help of a command.
std::string summary(const Command& command);

/// The names of an option, its value and its negative name: "-o, --output FILE", "--quiet / --not-quiet".
std::string shown_names(const Option& option);

/// The subcommand with this name; null if there is none.
const Command* find_command(const Command& group, std::string_view name);

/// The values that an option accepts, if they are few: those of "[local|s3]".
std::vector<std::string> choices_of(const Option& option);

/// Converters for Option::set. They throw Error{usage} with click's messages.
std::function<void(const std::string&)> store_text(std::string& target);
std::function<void(const std::string&)> store_choice(const std::string& option, std::string& target,
                                                     const std::vector<std::string>& choices);
std::function<void(const std::string&)> store_flag(bool& target);
std::function<void(const std::string&)> append_text(std::vector<std::string>& target);
/// The path of a file to write. Its directory must exist.
std::function<void(const std::string&)> store_file(const std::string& option, std::string& target);
std::function<void(const std::string&)> store_number(const std::string& option, std::size_t& target,
                                                     std::size_t smallest);
/// The same, for an option without a default.
std::function<void(const std::string&)> store_number(const std::string& option, std::optional<std::size_t>& target,
                                                     std::size_t smallest);

}  // namespace metaflow::cli
