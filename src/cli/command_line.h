// Options, commands and help. The command line behaves like click, which Metaflow uses.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/settings.h"

namespace metaflow::cli {

/// One option. Its value comes from the command line, else from the environment variable, else from the configuration
/// file that has this variable. Without any of them the option is not set.
struct Option {
  std::string name{};        // "--max-workers"
  std::string short_name{};  // "-o"
  std::string off_name{};    // the name that switches a flag off: "--not-quiet"
  std::string metavar{};     // "INTEGER"; empty: a flag
  std::string help{};
  std::string shown_default{};
  std::string environment{};  // "METAFLOW_RUN_MAX_WORKERS"
  bool required = false;
  bool multiple = false;  // may be repeated; in the environment: separated by white space
  bool hidden = false;
  std::function<void(const std::string&)> set{};  // a flag gets "1" or "0"
};

/// A positional argument.
struct Argument {
  std::string name{};  // "INPUT_PATH"
  bool required = true;
  bool multiple = false;
  std::function<void(const std::string&)> set{};
};

/// A command with its options and arguments. A group has subcommands.
struct Command {
  std::string name{};
  std::string help{};  // its first sentence is shown in the list of commands
  bool hidden = false;
  std::vector<Option> options{};
  std::vector<Argument> arguments{};
  std::vector<Command> commands{};
  std::string default_command{};  // of a group: runs if no command is named
  bool forwards = false;          // unknown words belong to the default command
  std::function<int()> run{};     // after all options are set; of a group: before its command, the result is ignored
};

/// Parses the words after the program's name and runs the command. Returns its exit code. Throws Error{usage} with the
/// message that click prints, usage line included. `program` appears in the usage line.
int execute(const Command& root, const std::string& program, const std::vector<std::string>& words,
            const base::Settings& settings);

/// The text of --help.
std::string help_text(const Command& command, const std::string& path);

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

}  // namespace metaflow::cli
