// Similar tasks under one command, for platforms that execute an array of jobs with it. The tasks of a foreach, and
// those that follow them, differ only in the numbers of task, item and input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compute/step_arguments.h"

namespace metaflow::compute {

/// A sequence of numbers as a text: "5-104,107,9*3", where the last are three nines.
class PackedNumbers {
 public:
  void add(std::uint64_t number);
  std::string text() const;

 private:
  std::string closed_;
  std::uint64_t first_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t count_ = 0;  // of the run that is open
};

/// Returns the number at a place, from 0. Nothing: the text is invalid, or has fewer numbers.
std::optional<std::uint64_t> packed_number(std::string_view text, std::uint64_t place);

/// Tasks that differ only in these numbers.
class StepArray {
 public:
  /// Returns what is the same for all tasks of an array. Nothing: this task fits into none.
  static std::optional<std::string> key(const StepArguments& step);

  /// Adds a task with the same key; the other arguments of the first task are those of all. Returns false, without
  /// adding it, if the numbers would exceed `longest` bytes.
  bool add(const StepArguments& step, std::size_t longest);
  std::size_t size() const { return size_; }
  const StepArguments& first() const { return first_; }

  /// Returns the tasks' numbers; for a single task, its id.
  std::string tasks() const;
  /// Returns the arguments for the supervisor of each task: {"--tasks", "5-104", "--splits", "0-99", "--inputs",
  /// "4*100"}. Empty for a single task.
  std::vector<std::string> words() const;

 private:
  StepArguments first_;
  std::size_t size_ = 0;
  PackedNumbers tasks_;
  PackedNumbers splits_;
  PackedNumbers inputs_;
};

/// The numbers of an array, as a supervisor gets them.
struct ArrayNumbers {
  std::string tasks{};
  std::string splits{};
  std::string inputs{};
};

/// Returns the arguments of one task of an array. `common`: those of the first task. Throws Error{usage} if the array
/// has no such task.
StepArguments task_of_array(StepArguments common, const ArrayNumbers& numbers, std::uint64_t place);

}  // namespace metaflow::compute
