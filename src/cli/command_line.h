// Options, commands, help: the command line in the manner of click, which Metaflow uses.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/settings.h"

namespace metaflow::cli {

/// One option. Its value comes from the command line, else from the environment variable, else from the configuration
/// file that has this variable, else it is not set at all.
struct Option {
  std::string name{};        // "--max-workers"
  std::string short_name{};  // "-o"
  std::string off_name{};    // of a flag: what switches it off, "--not-quiet"
  std::string metavar{};     // "INTEGER"; empty: a flag
  std::string help{};
  std::string shown_default{};
  std::string environment{};  // "METAFLOW_RUN_MAX_WORKERS"
  bool required = false;
  bool multiple = false;  // may be repeated; in the environment: separated by white space
  bool hidden = false;
  std::function<void(const std::string&)> set{};  // of a flag: "1" or "0"
};

/// A word that is not an option.
struct Argument {
  std::string name{};  // "INPUT_PATH"
  bool required = true;
  bool multiple = false;
  std::function<void(const std::string&)> set{};
};

/// A command with what it can be told; a group has commands of its own.
struct Command {
  std::string name{};
  std::string help{};  // its first sentence is shown in the list of commands
  bool hidden = false;
  std::vector<Option> options{};
  std::vector<Argument> arguments{};
  std::vector<Command> commands{};
  std::string default_command{};  // of a group that was given none
  bool forwards = false;          // words that the group does not know are for its default command
  std::function<int()> run{};     // after everything was set; of a group: before its command, nothing returned
};

/// Reads the words behind the program's name and runs the command. Returns its status. Throws Error{usage} whose
/// message is what click prints, usage line included. `program`: for the usage line.
int execute(const Command& root, const std::string& program, const std::vector<std::string>& words,
            const base::Settings& settings);

/// What --help prints.
std::string help_text(const Command& command, const std::string& path);

/// Converters for Option::set; throw Error{usage} in click's words.
std::function<void(const std::string&)> store_text(std::string& target);
std::function<void(const std::string&)> store_choice(const std::string& option, std::string& target,
                                                     const std::vector<std::string>& choices);
std::function<void(const std::string&)> store_flag(bool& target);
std::function<void(const std::string&)> append_text(std::vector<std::string>& target);
/// The path of a file that will be written: its directory exists.
std::function<void(const std::string&)> store_file(const std::string& option, std::string& target);
std::function<void(const std::string&)> store_number(const std::string& option, std::size_t& target,
                                                     std::size_t smallest);

}  // namespace metaflow::cli
