#include "compute/remote/step_array.h"

#include <charconv>
#include <utility>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"

namespace metaflow::compute {

namespace {

/// Parses a number as it is written: "07" is another task than "7".
std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  if (text.size() > 1 && text[0] == '0') return std::nullopt;
  return number;
}

std::string run_text(std::uint64_t first, std::uint64_t last, std::uint64_t count) {
  if (count == 1) return std::to_string(first);
  return first == last ? fmt::format("{}*{}", first, count) : fmt::format("{}-{}", first, last);
}

bool has_one_input(const StepArguments& step) { return !step.inputs_stored && step.inputs.size() == 1; }

std::uint64_t number_at(const char* option, std::string_view text, std::uint64_t place) {
  const auto number = packed_number(text, place);
  if (!number)
    throw Error(ErrorCode::usage, fmt::format("Invalid value for '{}': '{}' has no number {}", option, text, place));
  return *number;
}

}  // namespace

void PackedNumbers::add(std::uint64_t number) {
  const bool goes_on = count_ > 0 && number > last_ && number - last_ == 1 && (count_ == 1 || last_ != first_);
  const bool repeats = count_ > 0 && number == last_ && last_ == first_;
  if (count_ > 0 && !goes_on && !repeats) {
    closed_ += run_text(first_, last_, count_) + ",";
    count_ = 0;
  }
  if (count_ == 0) first_ = number;
  last_ = number;
  ++count_;
}

std::string PackedNumbers::text() const { return count_ == 0 ? "" : closed_ + run_text(first_, last_, count_); }

std::optional<std::uint64_t> packed_number(std::string_view text, std::uint64_t place) {
  for (const std::string& run : base::split(text, ',')) {
    const std::size_t sign = run.find_first_of("-*");
    const auto first = parse_number(std::string_view(run).substr(0, sign));
    if (!first) return std::nullopt;
    std::uint64_t count = 1;
    const bool repeats = sign != std::string::npos && run[sign] == '*';
    if (sign != std::string::npos) {
      const auto second = parse_number(std::string_view(run).substr(sign + 1));
      if (!second || (!repeats && *second <= *first)) return std::nullopt;
      count = repeats ? *second : *second - *first + 1;
    }
    if (place < count) return repeats ? *first : *first + place;
    place -= count;
  }
  return std::nullopt;
}

std::optional<std::string> StepArray::key(const StepArguments& step) {
  if (!parse_number(step.task)) return std::nullopt;
  StepArguments common = step;
  common.task = "";
  if (common.split_index) common.split_index = 0;
  if (has_one_input(common)) {
    if (!parse_number(common.inputs[0].task)) return std::nullopt;
    common.inputs[0].task = "";
  }
  std::string key;
  for (const std::string& word : to_command_line(common)) key += word + '\0';
  return key;
}

bool StepArray::add(const StepArguments& step, std::size_t longest) {
  PackedNumbers tasks = tasks_;
  PackedNumbers splits = splits_;
  PackedNumbers inputs = inputs_;
  tasks.add(*parse_number(step.task));
  if (step.split_index) splits.add(*step.split_index);
  if (has_one_input(step)) inputs.add(*parse_number(step.inputs[0].task));
  const std::size_t length = tasks.text().size() + splits.text().size() + inputs.text().size();
  if (size_ > 0 && length > longest) return false;
  if (size_ == 0) first_ = step;
  tasks_ = std::move(tasks);
  splits_ = std::move(splits);
  inputs_ = std::move(inputs);
  ++size_;
  return true;
}

std::string StepArray::tasks() const { return size_ == 1 ? first_.task : tasks_.text(); }

std::vector<std::string> StepArray::words() const {
  if (size_ < 2) return {};
  std::vector<std::string> words{"--tasks", tasks_.text()};
  if (first_.split_index) words.insert(words.end(), {"--splits", splits_.text()});
  if (has_one_input(first_)) words.insert(words.end(), {"--inputs", inputs_.text()});
  return words;
}

StepArguments task_of_array(StepArguments common, const ArrayNumbers& numbers, std::uint64_t place) {
  common.task = std::to_string(number_at("--tasks", numbers.tasks, place));
  if (!numbers.splits.empty()) common.split_index = number_at("--splits", numbers.splits, place);
  if (!numbers.inputs.empty()) {
    if (!has_one_input(common)) throw Error(ErrorCode::usage, "--inputs is for tasks with one input");
    common.inputs[0].task = std::to_string(number_at("--inputs", numbers.inputs, place));
  }
  return common;
}

}  // namespace metaflow::compute
