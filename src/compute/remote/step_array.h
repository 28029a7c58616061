// Alike tasks under one command, for platforms that execute an array of jobs with it: of the tasks of a foreach, and of
// those that follow them, only the numbers of task, item and input differ.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compute/step_arguments.h"

namespace metaflow::compute {

/// Numbers in a row as a text: "5-104,107,9*3", where the last are three nines.
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

/// The one at a place, counted from 0. Nothing: the text is no such text, or has fewer.
std::optional<std::uint64_t> packed_number(std::string_view text, std::uint64_t place);

/// Tasks that differ in nothing else.
class StepArray {
 public:
  /// What is the same for all tasks that fit into one array. Nothing: this one fits into none.
  static std::optional<std::string> key(const StepArguments& step);

  /// Of the same key as those before; the first one's other arguments are those of all. False: its numbers do not fit
  /// into `longest` bytes any more, and it was not added.
  bool add(const StepArguments& step, std::size_t longest);
  std::size_t size() const { return size_; }
  const StepArguments& first() const { return first_; }

  /// The tasks' numbers; of one alone, its id.
  std::string tasks() const;
  /// What the supervisor of each is told of all: {"--tasks", "5-104", "--splits", "0-99", "--inputs", "4*100"}. Nothing
  /// for one alone.
  std::vector<std::string> words() const;

 private:
  StepArguments first_;
  std::size_t size_ = 0;
  PackedNumbers tasks_;
  PackedNumbers splits_;
  PackedNumbers inputs_;
};

/// What a supervisor was told of an array.
struct ArrayNumbers {
  std::string tasks{};
  std::string splits{};
  std::string inputs{};
};

/// The arguments of one task of an array. `common`: those of the first. Throws Error{usage} if the array has no such
/// task.
StepArguments task_of_array(StepArguments common, const ArrayNumbers& numbers, std::uint64_t place);

}  // namespace metaflow::compute
