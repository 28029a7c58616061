// What stands on a command line: options, decorators, parameters.
#include <string>
#include <vector>

#include "base/text.h"
#include "cli/command_line.h"
#include "compute/platform.h"
#include "compute/step_arguments.h"
#include "graph/decorators.h"
#include "parameters_flow.h"
#include "readers.h"
#include "runtime/cpp/cpp_language.h"
#include "runtime/parameters.h"

namespace metaflow::fuzz {

namespace {

/// One word per line.
std::vector<std::string> words_of(std::string_view input) {
  std::vector<std::string> words;
  for (std::string& word : base::split(input, '\n')) words.emplace_back(word.substr(0, word.find('\0')));
  return words;
}

}  // namespace

void take_decorator(std::string_view input) {
  graph::Decorator decorator;
  const std::initializer_list<ErrorCode> refused = {ErrorCode::invalid_value, ErrorCode::unknown_decorator,
                                                    ErrorCode::unknown_attribute};
  if (!succeeds(refused, [&] { decorator = compute::platforms().decorators().parse(input); })) return;
  (void)graph::find_decorator<resources>({decorator});
  (void)graph::find_decorator<environment>({decorator});
}

void take_parameter(std::string_view input) {
  static const runtime::CppLanguage language(parameters_flow());
  static const runtime::Language::ValueCheck check = language.value_check();
  static const std::vector<detail::ParameterDescription> options = runtime::parameter_options(language);
  // Of all parameters: the text is what a user can choose.
  for (const auto& option : options)
    succeeds({ErrorCode::usage}, [&] { runtime::check_parameter(option, std::string(input), check); });
}

void take_command_line(std::string_view input) {
  std::vector<std::string> words = words_of(input);
  std::string text;
  std::string choice;
  std::size_t number = 0;
  bool flag = false;
  std::vector<std::string> many;
  std::vector<std::string> arguments;
  const auto done = [] { return 0; };
  const cli::Command run{
      .name = "run",
      .help = "Runs. Or not.",
      .options = {{.name = "--text", .metavar = "TEXT", .set = cli::store_text(text)},
                  {.name = "--max-workers", .metavar = "INTEGER", .set = cli::store_number("--max-workers", number, 1)},
                  {.name = "--tag", .metavar = "TEXT", .multiple = true, .set = cli::append_text(many)},
                  {.name = "--needed", .metavar = "TEXT", .required = true, .set = cli::store_text(text)}},
      .run = done};
  const cli::Command show{
      .name = "show",
      .options = {{.name = "--yes", .off_name = "--no", .set = cli::store_flag(flag)}},
      .arguments = {{.name = "FIRST", .set = cli::store_text(text)},
                    {.name = "REST", .required = false, .multiple = true, .set = cli::append_text(arguments)}},
      .run = done};
  const cli::Command group{.name = "tag", .commands = {show, run}, .default_command = "show", .forwards = true};
  const cli::Command root{.help = "Everything.",
                          .options = {{.name = "--quiet", .off_name = "--not-quiet", .set = cli::store_flag(flag)},
                                      {.name = "--with", .metavar = "TEXT", .set = cli::append_text(many)},
                                      {.name = "--metadata",
                                       .metavar = "[local]",
                                       .set = cli::store_choice("--metadata", choice, {"local"})}},
                          .commands = {run, show, group},
                          .default_command = "show"};
  for (const std::string& word : words) {
    if (word == "--help" || word == "-h") return;  // prints
  }
  static const base::Settings settings;
  succeeds({ErrorCode::usage}, [&] { (void)cli::execute(root, "flow", words, settings); });
}

void take_step_arguments(std::string_view input) {
  std::vector<std::string> words = words_of(input);
  std::string program = "flow";
  std::vector<char*> line{program.data()};
  for (std::string& word : words) line.push_back(word.data());
  const auto count = static_cast<int>(line.size());
  line.push_back(nullptr);
  compute::StepArguments arguments;
  if (!succeeds({ErrorCode::usage}, [&] { arguments = compute::parse_step_arguments(count, line.data()); })) return;
  const std::string packed = compute::pack_inputs(arguments.inputs);
  require(compute::unpack_inputs(packed) == arguments.inputs, "inputs are read as written");
}

}  // namespace metaflow::fuzz
