#include "cli/complete.h"

#include <algorithm>
#include <set>

#include <metaflow/error.h>

namespace metaflow::cli {

namespace {

/// The position of the completed word in the table.
class Place {
 public:
  Place(const Command& root, const FindValues& find_values) : root_(root), command_(&root), find_values_(find_values) {}

  /// Reads a word before the completed one. False: it is not valid here.
  bool read(const std::string& word) {
    if (open_option_ != nullptr) {
      set(*open_option_, word);
      open_option_ = nullptr;
      return true;
    }
    if (!only_arguments_ && word == "--") return only_arguments_ = true;
    if (!only_arguments_ && word.size() > 1 && word[0] == '-') return read_option(word);
    if (command_->commands.empty()) {
      arguments_.push_back(word);
      return true;
    }
    if (const Command* found = find_command(*command_, word)) return enter(*found);
    return command_->forwards && enter(*default_command()) && read(word);
  }

  Completion complete(const std::string& word) {
    if (open_option_ != nullptr) {
      add_values(*open_option_, "", word);
    } else if (!only_arguments_ && word.starts_with('-')) {
      complete_option(word);
    } else {
      complete_word(word);
      // Without other candidates, an empty word is completed with the options.
      if (word.empty() && result_.candidates.empty() && result_.paths == ValueKind::other && !only_arguments_)
        add_options(*command_, "");
    }
    return std::move(result_);
  }

 private:
  const Command* default_command() const { return find_command(*command_, command_->default_command); }

  bool enter(const Command& command) {
    command_ = &command;
    seen_.clear();
    return true;
  }

  /// An option of a command, or one of the program that may stand after its command.
  const Option* find_option(const Command& command, const std::string& name) const {
    for (const Command* place : {&command, &root_}) {
      for (const Option& option : place->options) {
        const bool named =
            name == option.name || (!name.empty() && (name == option.short_name || name == option.off_name));
        if (named && (place == &command || option.anywhere)) return &option;
      }
    }
    return nullptr;
  }

  void set(const Option& option, const std::string& value) {
    if (command_ != &root_ || !option.set) return;
    try {
      option.set(value);
    } catch (const Error&) {  // an invalid value: the command will report it
    }
  }

  bool read_option(const std::string& word) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const Option* option = find_option(*command_, name);
    if (option == nullptr) return command_->forwards && enter(*default_command()) && read_option(word);
    seen_.insert(option->name);
    if (option->metavar.empty()) {
      set(*option, name == option->off_name ? "0" : "1");
    } else if (equals != std::string::npos) {
      set(*option, word.substr(equals + 1));
    } else {
      open_option_ = option;
    }
    return true;
  }

  void add(const std::string& begun, Candidate candidate) {
    if (candidate.text.starts_with(begun)) result_.candidates.push_back(std::move(candidate));
  }

  /// `prefix`: the part of the word before the value: "--file=".
  void add_values(const Option& option, const std::string& prefix, const std::string& value) {
    for (const std::string& choice : choices_of(option)) add(prefix + value, {prefix + choice});
    add_values(option.kind, prefix, value);
  }

  void add_values(ValueKind kind, const std::string& prefix, const std::string& value) {
    if (kind == ValueKind::other) return;
    if (kind == ValueKind::file || kind == ValueKind::directory) {
      result_.paths = kind;
    } else if (kind == ValueKind::command) {
      add_commands_named_by_arguments(value);
    } else {
      for (Candidate& found : find_values_(kind, value)) add(prefix + value, {prefix + found.text, found.help});
    }
  }

  void add_options(const Command& command, const std::string& begun) {
    for (const Option& option : command.options) add_option(option, begun);
    if (&command == command_) {
      for (const Option& option : root_.options) {
        if (&command != &root_ && option.anywhere) add_option(option, begun);
      }
      add(begun, {"--help", "Show this message and exit."});
    }
    if (command.forwards) add_options(*find_command(command, command.default_command), begun);
  }

  void add_option(const Option& option, const std::string& begun) {
    if (option.hidden || (seen_.contains(option.name) && !option.multiple)) return;
    add(begun, {option.name, option.help});
    if (!option.off_name.empty()) add(begun, {option.off_name, option.help});
  }

  void complete_option(const std::string& word) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) return add_options(*command_, word);
    const Option* option = find_option(*command_, word.substr(0, equals));
    if (option == nullptr && command_->forwards) option = find_option(*default_command(), word.substr(0, equals));
    if (option != nullptr && !option->metavar.empty())
      add_values(*option, word.substr(0, equals + 1), word.substr(equals + 1));
  }

  void complete_word(const std::string& word) {
    add_commands(*command_, word);
    const Command& command = command_->forwards ? *default_command() : *command_;
    if (command.arguments.empty()) return;
    const std::size_t index = std::min(arguments_.size(), command.arguments.size() - 1);
    const Argument& argument = command.arguments[index];
    if (index < arguments_.size() && !argument.multiple) return;
    for (const std::string& choice : argument.choices) add(word, {choice});
    add_values(argument.kind, "", word);
  }

  void add_commands(const Command& group, const std::string& word) {
    for (const Command& command : group.commands) {
      if (!command.hidden) add(word, {command.name, summary(command)});
    }
  }

  /// For the arguments of `help` and `man`.
  void add_commands_named_by_arguments(const std::string& word) {
    const Command* group = &root_;
    for (const std::string& name : arguments_) {
      group = find_command(*group, name);
      if (group == nullptr) return;
    }
    add_commands(*group, word);
  }

  const Command& root_;
  const Command* command_;
  const FindValues& find_values_;
  const Option* open_option_ = nullptr;  // whose value is the next word
  bool only_arguments_ = false;          // after --
  std::vector<std::string> arguments_;
  std::set<std::string> seen_;  // options of the command
  Completion result_;
};

}  // namespace

Completion complete(const Command& root, const std::vector<std::string>& words, const FindValues& find_values) {
  Place place(root, find_values);
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (!place.read(words[i])) return {};
  }
  return place.complete(words.empty() ? "" : words.back());
}

}  // namespace metaflow::cli
