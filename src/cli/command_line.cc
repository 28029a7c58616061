#include "cli/command_line.h"

#include <algorithm>
#include <charconv>
#include <set>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "base/text.h"

namespace metaflow::cli {

namespace {

/// Suggestions for a misspelt name: the names that begin with the word, else those within a small edit distance.
std::vector<std::string> similar_names(const std::vector<std::string>& names, std::string_view given) {
  std::vector<std::string> similar;
  if (given.empty()) return similar;
  for (const std::string& name : names) {
    if (name.starts_with(given)) similar.push_back(name);
  }
  for (std::size_t i = 0; similar.empty() && i < names.size(); ++i) {
    if (base::edit_distance(names[i], given) <= 1 + given.size() / 6) similar.push_back(names[i]);
  }
  return similar;
}

/// Parses the words of one command.
class Parser {
 public:
  Parser(const Command& command, std::string path, const std::vector<std::string>& words, std::size_t begin,
         const base::Settings& settings, Parser* outer = nullptr)
      : command_(command), path_(std::move(path)), words_(words), at_(begin), settings_(settings), outer_(outer) {}

  int run() {
    try {
      return parse_and_run();
    } catch (const Error&) {
      run_groups();  // what they print comes before the error
      throw;
    }
  }

 private:
  int parse_and_run() {
    std::size_t argument = 0;
    bool only_arguments = false;
    for (; at_ < words_.size(); ++at_) {
      const std::string& word = words_[at_];
      if (!only_arguments && word == "--") {
        only_arguments = true;
      } else if (!only_arguments && (word == "--help" || word == "-h")) {
        run_groups();
        base::write_all(1, help_text(command_, path_));
        return 0;
      } else if (command_.forwards && !is_own_name(word)) {
        return run_command(command_.default_command, false);
      } else if (!only_arguments && word.size() > 1 && word[0] == '-') {
        read_option(word);
      } else if (!command_.commands.empty()) {
        return run_command(word);
      } else {
        if (argument == command_.arguments.size()) fail(fmt::format("Got unexpected extra argument ({})", word));
        command_.arguments[argument].set(word);
        seen_arguments_.insert(argument);
        if (!command_.arguments[argument].multiple) ++argument;
      }
    }
    if (!command_.commands.empty()) {
      if (!command_.default_command.empty()) return run_command(command_.default_command, false);
      fail(fmt::format("Missing {}.", command_.unit));
    }
    complete();
    run_groups();
    return command_.run();
  }

  /// Calls the functions of the enclosing groups, if they were not called yet. Not earlier than the words of the
  /// command are parsed: an option of a group may stand among them.
  void run_groups() {
    if (outer_ == nullptr || groups_were_run_) return;
    groups_were_run_ = true;
    outer_->run_groups();
    if (outer_->command_.run && !command_.standalone) outer_->command_.run();
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::usage,
                fmt::format("{}\nTry '{} --help' for help.\n\nError: {}", usage_line(command_, path_), path_, what));
  }

  /// Whether a word is an option or a command of this group. Other words belong to the default command.
  bool is_own_name(const std::string& word) const {
    const std::string name = word.substr(0, word.find('='));
    const auto& options = command_.options;
    const auto& commands = command_.commands;
    return std::any_of(options.begin(), options.end(),
                       [&](const Option& o) { return o.name == name || o.off_name == name; }) ||
           std::any_of(commands.begin(), commands.end(), [&](const Command& c) { return c.name == word; });
  }

  void set(const Option& option, const std::string& value) {
    try {
      option.set(value);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::usage) throw;
      fail(error.message() + source_);
    }
    seen_options_.insert(option.name);
  }

  void read_option(const std::string& word) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    if (const Option* option = find_option(name)) {
      if (option->metavar.empty()) {
        if (equals != std::string::npos) fail(fmt::format("{} option does not take a value", name));
        return set(*option, name == option->off_name ? "0" : "1");
      }
      if (equals != std::string::npos) return set(*option, word.substr(equals + 1));
      if (at_ + 1 == words_.size()) fail(fmt::format("{} option requires an argument", name));
      return set(*option, words_[++at_]);
    }
    std::vector<std::string> names;
    for (const Option& option : command_.options) {
      if (option.hidden) continue;
      names.push_back(option.name);
      if (!option.off_name.empty()) names.push_back(option.off_name);
    }
    const auto similar = similar_names(names, name);
    std::string hint = position_hint(name);
    if (!hint.empty()) fail(fmt::format("no such option: {}{}", name, hint));
    if (similar.size() == 1) hint = fmt::format("  Did you mean {}?", similar[0]);
    if (similar.size() > 1) hint = fmt::format("  (Possible options: {})", base::join(similar, ", "));
    fail(fmt::format("no such option: {}{}", name, hint));
  }

  /// An option of this command, or one of an enclosing group that may stand here; null if there is none.
  const Option* find_option(const std::string& name) const {
    for (const Parser* parser = this; parser != nullptr; parser = parser->outer_) {
      for (const Option& option : parser->command_.options) {
        const bool named = name == option.name || (!option.short_name.empty() && name == option.short_name) ||
                           (!option.off_name.empty() && name == option.off_name);
        if (named && (parser == this || option.anywhere)) return &option;
      }
    }
    return nullptr;
  }

  /// The right position of an option that belongs to an outer group or to a subcommand; else empty.
  std::string position_hint(const std::string& name) const {
    auto shown = [](const Option& option) {
      return option.name + (option.metavar.empty() ? "" : " ") + option.metavar;
    };
    for (const Parser* outer = outer_; outer != nullptr; outer = outer->outer_) {
      for (const Option& option : outer->command_.options) {
        if (name == option.name)
          return fmt::format("  It goes before the command: {} {}{}", outer->path_, shown(option),
                             path_.substr(outer->path_.size()));
      }
    }
    for (const Command& command : command_.commands) {
      for (const Option& option : command.options) {
        if (!command.hidden && name == option.name)
          return fmt::format("  It goes after the command: {} {} {}", path_, command.name, shown(option));
      }
    }
    return {};
  }

  int run_command(const std::string& name, bool consume = true) {
    if (const Command* command = find_command(command_, name)) {
      complete();
      return Parser(*command, path_ + " " + name, words_, consume ? at_ + 1 : at_, settings_, this).run();
    }
    std::vector<std::string> names;
    for (const Command& command : command_.commands) {
      if (!command.hidden) names.push_back(command.name);
    }
    const auto similar = similar_names(names, name);
    fail(fmt::format("No such {} '{}'.{}", command_.unit, name,
                     similar.empty() ? "" : " Did you mean " + base::join(similar, " or ") + "?"));
  }

  /// Sets the options that are not on the command line from the environment and the configuration files. Fails if a
  /// required option or argument is missing.
  void complete() {
    for (const Option& option : command_.options) {
      if (seen_options_.contains(option.name)) continue;
      const auto found = option.environment.empty() ? std::nullopt : settings_.find(option.environment);
      if (found) {
        source_ = found->file.empty() ? fmt::format(" (from {})", option.environment)
                                      : fmt::format(" (from {} in {})", option.environment, found->file);
        read_environment(option, found->value);
        source_.clear();
      } else if (option.required) {
        fail(fmt::format("Missing option '{}'.", option.name));
      }
    }
    for (std::size_t i = 0; i < command_.arguments.size(); ++i) {
      if (command_.arguments[i].required && !seen_arguments_.contains(i))
        fail(fmt::format("Missing argument '{}'.", command_.arguments[i].name));
    }
  }

  void read_environment(const Option& option, const std::string& value) {
    if (option.metavar.empty()) {
      const std::string word = base::lower(value);
      return set(option, word == "0" || word == "false" || word == "no" || word == "off" || word == "f" || word == "n"
                             ? "0"
                             : "1");
    }
    if (!option.multiple) return set(option, value);
    for (const std::string& part : base::split(value, ' ')) {
      if (!part.empty()) set(option, part);
    }
  }

  const Command& command_;
  std::string path_;
  const std::vector<std::string>& words_;
  std::size_t at_;
  const base::Settings& settings_;
  Parser* outer_;  // the parser of the enclosing group
  bool groups_were_run_ = false;
  std::string source_;  // where the current value comes from; empty: the command line
  std::set<std::string> seen_options_;
  std::set<std::size_t> seen_arguments_;
};

}  // namespace

int execute(const Command& root, const std::string& program, const std::vector<std::string>& words,
            const base::Settings& settings) {
  return Parser(root, program, words, 0, settings).run();
}

std::function<void(const std::string&)> store_text(std::string& target) {
  return [&target](const std::string& value) { target = value; };
}

std::function<void(const std::string&)> store_choice(const std::string& option, std::string& target,
                                                     const std::vector<std::string>& choices) {
  return [option, &target, choices](const std::string& value) {
    if (std::find(choices.begin(), choices.end(), value) == choices.end()) {
      throw Error(ErrorCode::usage, fmt::format("Invalid value for '{}': invalid choice: {}. (choose from {})", option,
                                                value, base::join(choices, ", ")));
    }
    target = value;
  };
}

std::function<void(const std::string&)> store_flag(bool& target) {
  return [&target](const std::string& value) { target = value == "1"; };
}

std::function<void(const std::string&)> append_text(std::vector<std::string>& target) {
  return [&target](const std::string& value) { target.push_back(value); };
}

std::function<void(const std::string&)> store_file(const std::string& option, std::string& target) {
  return [option, &target](const std::string& value) {
    const std::string directory = base::directory_of(value);
    if (!base::exists(directory)) {
      throw Error(ErrorCode::usage,
                  fmt::format("Invalid value for '{}': {}: there is no directory {}", option, value, directory));
    }
    target = value;
  };
}

std::function<void(const std::string&)> store_number(const std::string& option, std::size_t& target,
                                                     std::size_t smallest) {
  return [option, &target, smallest](const std::string& value) {
    std::string_view digits = base::trim(value);
    const bool negative = digits.size() > 1 && digits[0] == '-';
    if (negative) digits.remove_prefix(1);
    std::size_t number = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) {
      throw Error(ErrorCode::usage,
                  fmt::format("Invalid value for '{}': {} is not a valid integer", option, base::shown_value(value)));
    }
    if (number < smallest || (negative && number > 0))
      throw Error(ErrorCode::usage,
                  fmt::format("Invalid value for '{}': {} is smaller than the minimum of {}", option, value, smallest));
    target = number;
  };
}

std::function<void(const std::string&)> store_number(const std::string& option, std::optional<std::size_t>& target,
                                                     std::size_t smallest) {
  return [option, &target, smallest](const std::string& value) {
    std::size_t number = 0;
    store_number(option, number, smallest)(value);
    target = number;
  };
}

}  // namespace metaflow::cli
