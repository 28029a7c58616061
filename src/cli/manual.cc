#include "cli/manual.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <filesystem>
#include <utility>
#include <vector>

#include <metaflow/error.h>
#include <metaflow/version.h>

#include "base/files.h"
#include "base/format.h"
#include "base/process.h"
#include "base/text.h"
#include "cli/context.h"

namespace metaflow::cli {

namespace {

/// The exit codes of all commands.
constexpr std::array<std::pair<const char*, const char*>, 4> kExitCodes{{
    {"0", "Success."},
    {"1", "The command failed or was interrupted, or the run, artifact, attempt or decorator does not exist."},
    {"2", "The command line is wrong: an unknown command or option, a missing argument, a value of the wrong type."},
    {"141", "The standard output was closed before everything was written."},
}};

/// Text as roff: no character of it is a request or an escape.
std::string roff(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '\\': escaped += "\\e"; break;
      case '-': escaped += "\\-"; break;
      case '~': escaped += "\\(ti"; break;
      case '^': escaped += "\\(ha"; break;
      case '`': escaped += "\\(ga"; break;
      case '\'': escaped += "\\(aq"; break;
      case '"': escaped += "\\(dq"; break;
      case '\n': escaped += ' '; break;
      default: escaped += c;
    }
  }
  return (escaped.starts_with('.') ? "\\&" : "") + escaped;
}

std::string bold(std::string_view text) { return "\\fB" + roff(text) + "\\fR"; }
std::string italic(std::string_view text) { return "\\fI" + roff(text) + "\\fR"; }

/// "sweep-tag-add", the name of a page.
std::string page_name(std::string path) {
  std::replace(path.begin(), path.end(), ' ', '-');
  return path;
}

std::string reference(const std::string& path) { return fmt::format(".BR {} (1)", roff(page_name(path))); }

/// The date of the program's file.
std::string date_of_program() {
  std::error_code ignored;
  const auto time = std::filesystem::last_write_time(base::own_executable(), ignored);
  const auto since_epoch = std::chrono::file_clock::to_sys(time).time_since_epoch();
  const std::time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(since_epoch).count();
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 16> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d", &parts)};
}

std::string synopsis(const Command& command, const std::string& path) {
  std::string text = bold(path);
  if (command.unit == "command") text += " [" + italic("OPTIONS") + "]";
  for (const Argument& argument : command.arguments) {
    const std::string name = italic(argument.name) + (argument.multiple ? "..." : "");
    text += argument.required ? " " + name : " [" + name + "]";
  }
  if (!command.commands.empty()) text += " " + italic(base::upper(command.unit)) + " [" + italic("ARGS") + "]...";
  return text;
}

std::string tagged(const std::string& tag, const std::string& text) { return ".TP\n" + tag + "\n" + text + "\n"; }

std::string option_names(const Option& option) {
  std::string names = option.short_name.empty() ? "" : bold(option.short_name) + ", ";
  names += bold(option.name);
  if (!option.off_name.empty()) names += " / " + bold(option.off_name);
  if (!option.metavar.empty()) names += " " + italic(option.metavar);
  return names;
}

std::string option_list(const Command& command) {
  std::string text;
  for (const Option& option : command.options) {
    if (option.hidden) continue;
    std::string help = option.help;
    if (!help.empty() && !help.ends_with('.')) help += '.';
    if (option.required) help += " Required.";
    if (!option.shown_default.empty()) help += fmt::format(" Default: {}.", option.shown_default);
    text += tagged(option_names(option), help.empty() ? "A value." : roff(base::trim(help)));
  }
  return text + tagged(bold("--help"), "Show the help of the command and exit.");
}

std::string environment_list(const Command& command) {
  std::string text;
  for (const Option& option : command.options) {
    if (!option.hidden && !option.environment.empty())
      text += tagged(bold(option.environment),
                     fmt::format("The value of {}, if the option is not given.", bold(option.name)));
  }
  return text;
}

std::string section(const std::string& name, const std::string& text) {
  return text.empty() ? "" : ".SH " + name + "\n" + text;
}

}  // namespace

std::string manual_page(const Command& command, const std::string& path, const std::string& title) {
  const std::string name = page_name(path);
  std::string what = summary(command);
  if (what.ends_with('.')) what.pop_back();
  std::string page = fmt::format(".TH {} 1 {} \"Metaflow {}\" \"{}\"\n", roff(base::upper(name)), date_of_program(),
                                 METAFLOW_CPP_VERSION, roff(title));
  page += section("NAME", fmt::format("{} \\- {}\n", roff(name), roff(what.empty() ? "a workflow" : what)));
  page += section("SYNOPSIS", synopsis(command, path) + "\n");
  std::string description;
  for (const std::string& line : base::split(command.help, '\n')) {
    const std::string text = roff(base::trim(line));
    description += !text.empty() ? text + "\n" : description.empty() ? "" : ".PP\n";
  }
  page += section("DESCRIPTION", description);
  page += section("OPTIONS", option_list(command));
  std::string list;
  for (const Command& sub : command.commands) {
    if (!sub.hidden) list += tagged(bold(sub.name), roff(summary(sub).empty() ? sub.name + "." : summary(sub)));
  }
  page += section(command.unit == "command" ? "COMMANDS" : "FLOWS AND COMMANDS", list);
  page += section("ENVIRONMENT", environment_list(command));
  list.clear();
  for (const auto& [code, meaning] : kExitCodes) list += tagged(bold(code), roff(meaning));
  page += section("EXIT STATUS", list);
  list.clear();
  for (const auto& [words, help] : command.examples)
    list += tagged(bold(path + (words.empty() ? "" : " ") + words), roff(help));
  page += section("EXAMPLES", list);
  list.clear();
  if (const std::size_t last = path.rfind(' '); last != std::string::npos)
    list += reference(path.substr(0, last)) + "\n";
  for (const Command& sub : command.commands) {
    if (!sub.hidden && sub.section == "Commands") list += reference(path + " " + sub.name) + "\n";
  }
  return page + section("SEE ALSO", list);
}

namespace {

/// Writes the pages of a command and of its subcommands. Returns their number.
int write_pages(const Command& command, const std::string& path, const std::string& title,
                const std::string& directory) {
  base::write_output_file(fmt::format("{}/{}.1", directory, page_name(path)), manual_page(command, path, title));
  int count = 1;
  for (const Command& sub : command.commands) {
    if (!sub.hidden && sub.section == "Commands") count += write_pages(sub, path + " " + sub.name, title, directory);
  }
  return count;
}

}  // namespace

Command manual_command(const Command& root, const std::string& path, const std::string& title) {
  struct Options {
    std::vector<std::string> words;
    std::string directory;
  };
  auto options = std::make_shared<Options>();
  Command command{.name = "man",
                  .help = "Print the manual page of a command, for the program man. Default: the page of the program."};
  command.options = {{.name = "--output",
                      .short_name = "-o",
                      .metavar = "DIRECTORY",
                      .kind = ValueKind::directory,
                      .help = "Write the pages of all commands into this directory instead.",
                      .set = store_text(options->directory)}};
  command.arguments = {{.name = "COMMAND",
                        .kind = ValueKind::command,
                        .required = false,
                        .multiple = true,
                        .set = append_text(options->words)}};
  command.examples = {
      {"run | man -l -", "Read the page of the command run."},
      {"--output ~/.local/share/man/man1", "Install all pages; the directory is created if it is missing."}};
  command.standalone = true;
  command.run = [&root, options, path, title] {
    if (!options->directory.empty()) {
      base::make_directories(options->directory);
      const int count = write_pages(root, path, title, options->directory);
      Context::print(fmt::format("{} pages in {}\n", count, options->directory));
      return 0;
    }
    const Command* found = &root;
    std::string name = path;
    for (const std::string& word : options->words) {
      found = find_command(*found, word);
      if (found == nullptr) {
        throw Error(ErrorCode::usage, fmt::format("'{}' has no {} {}. Its commands: {} --help", name, root.unit,
                                                  base::visible(word), name));
      }
      name += " " + word;
    }
    Context::print(manual_page(*found, name, title));
    return 0;
  };
  return command;
}

}  // namespace metaflow::cli
