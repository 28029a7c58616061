// The text of --help, and what other descriptions of the commands share with it.
#include <algorithm>

#include "base/format.h"
#include "base/text.h"
#include "cli/command_line.h"

namespace metaflow::cli {

namespace {

constexpr std::size_t kWidth = 80;

std::vector<std::string> wrap(const std::string& text, std::size_t width) {
  std::vector<std::string> lines(1);
  for (const std::string& word : base::split(text, ' ')) {
    if (word.empty() && lines.back().empty()) continue;
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > width) lines.emplace_back();
    if (!lines.back().empty()) lines.back() += ' ';
    lines.back() += word;
  }
  return lines;
}

struct Definition {
  std::string term;
  std::string text;
  std::string note;  // follows the text: "[default: 16]"
};

/// Two columns, formatted like click: the text of a term that is too wide begins on the next line, and an entry of
/// several lines is followed by an empty line.
std::string definitions(const std::vector<Definition>& rows) {
  std::size_t first = 0;
  for (const Definition& row : rows) first = std::max(first, std::min<std::size_t>(row.term.size(), 30));
  first += 2;
  const std::size_t width = kWidth - first - 2;
  std::string text;
  for (const auto& [left, right, note] : rows) {
    text += "  " + left;
    auto lines = wrap(right, width);
    if (lines.back().empty()) {
      lines.back() = note;
    } else if (!note.empty() && lines.back().size() + 2 + note.size() <= width) {
      lines.back() += "  " + note;
    } else if (!note.empty()) {
      for (std::string& line : wrap(note, width)) lines.push_back(std::move(line));
    }
    if (lines[0].empty()) {
      text += "\n";
      continue;
    }
    const bool beside = left.size() + 2 <= first;
    text += beside ? std::string(first - left.size(), ' ') : "\n" + std::string(first + 2, ' ');
    text += lines[0] + "\n";
    for (std::size_t i = 1; i < lines.size(); ++i) text += std::string(first + 2, ' ') + lines[i] + "\n";
    if (lines.size() > 1 || !beside) text += "\n";
  }
  return text;
}

/// The commands of a group, by section, in their order.
std::string command_lists(const Command& group) {
  std::vector<std::string> sections;
  for (const Command& command : group.commands) {
    if (!command.hidden && std::find(sections.begin(), sections.end(), command.section) == sections.end())
      sections.push_back(command.section);
  }
  std::string text;
  for (const std::string& section : sections) {
    std::vector<Definition> rows;
    for (const Command& command : group.commands) {
      if (!command.hidden && command.section == section) rows.push_back({command.name, summary(command), ""});
    }
    text += fmt::format("\n{}:\n{}", section, definitions(rows));
  }
  return text;
}

}  // namespace

std::string usage_line(const Command& command, const std::string& path) {
  std::string line = "Usage: " + path;
  if (command.unit == "command") line += " [OPTIONS]";
  for (const Argument& argument : command.arguments) {
    line += argument.required ? " " + argument.name : " [" + argument.name + "]";
    if (argument.multiple) line += "...";
  }
  if (!command.commands.empty()) line += fmt::format(" {} [ARGS]...", base::upper(command.unit));
  return line;
}

base::Json table_of(const Command& command) {
  using base::Json;
  Json options = Json::list();
  for (const Option& option : command.options) {
    if (option.hidden) continue;
    options.push_back({{"name", option.name},
                       {"short_name", option.short_name},
                       {"off_name", option.off_name},
                       {"value", option.metavar},
                       {"help", option.help},
                       {"default", option.shown_default},
                       {"environment", option.environment},
                       {"required", option.required},
                       {"multiple", option.multiple}});
  }
  Json arguments = Json::list();
  for (const Argument& argument : command.arguments) {
    arguments.push_back({{"name", argument.name}, {"required", argument.required}, {"multiple", argument.multiple}});
  }
  Json commands = Json::list();
  for (const Command& sub : command.commands) {
    if (!sub.hidden) commands.push_back(table_of(sub));
  }
  return {{"name", command.name},
          {"help", command.help},
          {"options", options},
          {"arguments", arguments},
          {"default_command", command.default_command},
          {"commands", commands}};
}

std::string summary(const Command& command) {
  const std::string line = command.help.substr(0, command.help.find('\n'));
  const std::size_t end = line.find(". ");
  return line.substr(0, end == std::string::npos ? end : end + 1);
}

std::string shown_names(const Option& option) {
  std::string names = (option.short_name.empty() ? "" : option.short_name + ", ") + option.name;
  if (!option.off_name.empty()) names += " / " + option.off_name;
  if (!option.metavar.empty()) names += " " + option.metavar;
  return names;
}

const Command* find_command(const Command& group, std::string_view name) {
  const auto found =
      std::find_if(group.commands.begin(), group.commands.end(), [&](const Command& c) { return c.name == name; });
  return found == group.commands.end() ? nullptr : &*found;
}

std::vector<std::string> choices_of(const Option& option) {
  const std::string& text = option.metavar;
  if (text == "BOOLEAN") return {"true", "false"};
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') return {};
  return base::split(text.substr(1, text.size() - 2), '|');
}

std::string help_text(const Command& command, const std::string& path) {
  std::string text = usage_line(command, path) + "\n\n";
  if (!command.help.empty()) {
    for (const std::string& paragraph : base::split(command.help, '\n')) {
      for (const std::string& line : wrap(paragraph, kWidth - 2)) text += line.empty() ? "\n" : "  " + line + "\n";
    }
    text += "\n";
  }
  std::vector<Definition> rows;
  for (const Option& option : command.options) {
    if (option.hidden) continue;
    std::string note = option.required ? "[required]" : "";
    if (!option.shown_default.empty()) note = fmt::format("[default: {}]", option.shown_default);
    rows.push_back({shown_names(option), option.help, std::move(note)});
  }
  rows.push_back({"--help", "Show this message and exit.", ""});
  text += "Options:\n" + definitions(rows);
  text += command_lists(command);
  if (!command.examples.empty()) text += "\nExamples:\n";
  for (const auto& [words, help] : command.examples) {
    text += fmt::format("  {}{}{}\n", path, words.empty() ? "" : " ", words);
    for (const std::string& line : wrap(help, kWidth - 6)) text += "      " + line + "\n";
  }
  return text;
}

}  // namespace metaflow::cli
