#include "compute/step_arguments.h"

#include <charconv>
#include <csignal>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"

namespace metaflow::compute {

namespace {

constexpr const char* kStored = "stored";  // not the path of a task, which has slashes

template <class T>
T number(std::string_view option, std::string_view text) {
  T value{};
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
    throw Error(ErrorCode::usage,
                fmt::format("Invalid value for '{}': {} is not a valid integer", option, base::shown_value(text)));
  }
  return value;
}

}  // namespace

int timeout_signal() { return SIGRTMAX - 2; }

std::string pack_inputs(const std::vector<store::TaskRef>& inputs) {
  if (inputs.size() < 2) return inputs.empty() ? "" : inputs[0].path();
  bool same_step = true;
  for (const auto& input : inputs) same_step = same_step && input.run == inputs[0].run && input.step == inputs[0].step;
  std::string text = same_step ? inputs[0].run + "/" + inputs[0].step + "/:" : "";
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (i > 0) text += ',';
    text += same_step ? inputs[i].task : inputs[i].path();
  }
  return text;
}

std::vector<store::TaskRef> unpack_inputs(std::string_view text) {
  std::vector<store::TaskRef> inputs;
  if (text.empty()) return inputs;
  const std::size_t colon = text.find(':');
  const std::string prefix(colon == std::string_view::npos ? std::string_view() : text.substr(0, colon));
  if (colon != std::string_view::npos) text.remove_prefix(colon + 1);
  for (const std::string& part : base::split(text, ',')) {
    auto input = store::parse_task_ref(prefix + part);
    if (!input)
      throw Error(ErrorCode::usage, fmt::format("Invalid value for '--input-paths': '{}' is not RUN/STEP/TASK",
                                                base::visible(prefix + part)));
    inputs.push_back(std::move(*input));
  }
  return inputs;
}

std::vector<std::string> to_command_line(const StepArguments& a) {
  std::vector<std::string> line;
  if (!a.flow.empty()) line.push_back(a.flow);
  line.insert(line.end(), {"--quiet", "--datastore", a.datastore, "--datastore-root", a.datastore_root});
  for (const std::string& spec : a.with) line.insert(line.end(), {"--with", spec});
  line.insert(line.end(), {"step", a.step, "--run-id", a.run, "--task-id", a.task});
  line.insert(line.end(), {"--input-paths", a.inputs_stored ? kStored : pack_inputs(a.inputs)});
  if (!a.split.empty()) line.insert(line.end(), {"--split-path", a.split});
  if (a.split_index) line.insert(line.end(), {"--split-index", std::to_string(*a.split_index)});
  line.insert(line.end(), {"--retry-count", std::to_string(a.retry_count), "--max-user-code-retries",
                           std::to_string(a.max_user_code_retries)});
  if (!a.failure.empty()) line.insert(line.end(), {"--failure-type", a.failure_type, "--failure", a.failure});
  if (!a.scratch.empty()) line.insert(line.end(), {"--scratch", a.scratch});
  line.insert(line.end(), {"--namespace", a.name_space});
  if (!a.branch.empty()) line.insert(line.end(), {"--project-branch", a.branch});
  if (!a.origin_run_id.empty()) line.insert(line.end(), {"--origin-run-id", a.origin_run_id});
  for (const std::string& tag : a.tags) line.insert(line.end(), {"--tag", tag});
  return line;
}

StepArguments parse_step_arguments(int argc, char** argv) {
  StepArguments a;
  auto usage = [](std::string text) { return Error(ErrorCode::usage, std::move(text)); };
  int i = 1;
  // The name of a flow precedes the options, which precede the command.
  if (argc > 2 && argv[1][0] != '-' && argv[2][0] == '-') a.flow = argv[i++];
  for (; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--quiet" || option == "--not-quiet" || option == "--pylint" || option == "--no-pylint") continue;
    if (option == "step") continue;
    if (!option.starts_with("--")) {
      if (!a.step.empty()) throw usage(fmt::format("Got unexpected extra argument ({})", option));
      a.step = option;
      continue;
    }
    const std::size_t equals = option.find('=');
    const std::string_view name = option.substr(0, equals);
    std::string_view value;
    if (equals != std::string_view::npos) {
      value = option.substr(equals + 1);
    } else if (i + 1 < argc) {
      value = argv[++i];
    } else {
      throw usage(fmt::format("{} option requires an argument", name));
    }
    if (name == "--datastore") {
      a.datastore = value;
    } else if (name == "--datastore-root") {
      a.datastore_root = value;
    } else if (name == "--with") {
      a.with.emplace_back(value);
    } else if (name == "--run-id") {
      a.run = value;
    } else if (name == "--task-id") {
      a.task = value;
    } else if (name == "--input-paths") {
      a.inputs_stored = value == kStored;
      if (!a.inputs_stored) a.inputs = unpack_inputs(value);
    } else if (name == "--split-path") {
      a.split = value;
    } else if (name == "--split-index") {
      a.split_index = number<std::size_t>(name, value);
    } else if (name == "--retry-count") {
      a.retry_count = number<int>(name, value);
    } else if (name == "--max-user-code-retries") {
      a.max_user_code_retries = number<int>(name, value);
    } else if (name == "--failure-type") {
      a.failure_type = value;
    } else if (name == "--failure") {
      a.failure = value;
    } else if (name == "--scratch") {
      a.scratch = value;
    } else if (name == "--namespace") {
      a.name_space = value;
    } else if (name == "--project-branch") {
      a.branch = value;
    } else if (name == "--origin-run-id") {
      a.origin_run_id = value;
    } else if (name == "--tag") {
      a.tags.emplace_back(value);
    } else if (name == "--metadata" || name == "--environment" || name == "--event-logger" || name == "--monitor" ||
               name == "--package-suffixes") {
      // ignored by a task
    } else {
      throw usage(fmt::format("no such option: {}", name));
    }
  }
  if (a.step.empty()) throw usage("Missing argument 'STEP_NAME'.");
  if (!is_name(store::NameKind::run, a.run)) throw usage("Missing option '--run-id'.");
  if (!is_name(store::NameKind::task, a.task)) throw usage("Missing option '--task-id'.");
  if (!a.origin_run_id.empty() && !is_name(store::NameKind::run, a.origin_run_id))
    throw usage("Invalid value for '--origin-run-id': " + not_a_name(store::NameKind::run, a.origin_run_id));
  if (!a.split.empty() && !store::parse_task_ref(a.split))
    throw usage(fmt::format("Invalid value for '--split-path': '{}' is not RUN/STEP/TASK", base::visible(a.split)));
  if (a.datastore_root.empty()) throw usage("Missing option '--datastore-root'.");
  return a;
}

}  // namespace metaflow::compute
