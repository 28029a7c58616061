// The shape of a flow's graph, and its validation. Used by the compiler (through static_assert) and at run time. Works
// on plain arrays: std::vector would cost every flow 50 ms of compilation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace metaflow::detail {

enum class Transition : std::uint8_t {
  none,     // the last step
  linear,   // next<&F::a>
  split,    // next<&F::a, &F::b, ...>
  foreach,  // foreach<&F::items, &F::body>
  choose,   // choose<&F::value, when<...>...>
};

/// The problem of a graph; in the order of Metaflow's checks where it has them.
enum class Problem : std::uint8_t {
  none,
  duplicate_step,
  reserved_name,
  no_start,
  no_end,
  start_is_entered,
  end_has_transition,
  end_is_join,
  bad_name,
  start_is_join,
  join_and_split,
  no_transition,
  unknown_target,
  loop,
  unreachable,
  repeated_branch,
  unjoined_split,
  wrong_join_count,
  join_without_split,
  unrelated_join,
  unjoined_paths,
  empty_foreach,
  conditional_join,
  few_cases,
  item_outside_foreach,
};

inline constexpr int kUnknownStep = -1;

/// Names are compared by hash first: compilers limit the operations of a constant expression, and a graph has many
/// pairs of steps.
constexpr unsigned long hash_of_name(std::string_view name) {
  unsigned long hash = 14695981039346656037U;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return hash;
}

/// The data of a step that determine the shape of the graph.
struct ShapeStep {
  std::string_view name;
  unsigned long hash = 0;  // of the name
  Transition transition = Transition::none;
  bool join = false;
  bool takes_item = false;
  int first_target = 0;  // index of its first target among those of all steps
  int target_count = 0;
  bool is_start = false;  // whatever its name is
  bool is_end = false;

  constexpr bool splits() const { return transition == Transition::split || transition == Transition::foreach; }
};

/// A split that has not been joined yet: the step that splits and the index of the branch; -1: none. The splits around
/// it are those around its step.
struct OpenSplit {
  int split = -1;
  int branch = 0;
  constexpr bool operator==(const OpenSplit&) const = default;
};

struct Verdict {
  Problem problem = Problem::none;
  int step = -1;   // the step with the problem
  int other = -1;  // the other step involved, or the index of the target
  int start = -1;
  int end = -1;
};

/// A graph of N steps with T targets in all, and the results of its analysis.
template <std::size_t N, std::size_t T>
struct Shape {
  ShapeStep steps[N + 1]{};
  int targets[T + 1]{};  // indices of steps; kUnknownStep for a step that is not in the graph
  Verdict verdict;
  int order[N + 1]{};         // topological order
  OpenSplit around[N + 1]{};  // per step: the innermost split around it
  int joined_by[N + 1]{};     // per step that splits: the join; else -1

  /// The innermost foreach around a step, or -1.
  constexpr int foreach_around(int step) const {
    for (int split = around[step].split; split >= 0; split = around[split].split) {
      if (steps[split].transition == Transition::foreach) return split;
    }
    return -1;
  }
};

constexpr bool valid_step_name(std::string_view name) {
  if (name.empty() || name[0] == '_') return false;
  for (char c : name) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return false;
  }
  return true;
}

constexpr bool reserved_step_name(std::string_view name) {
  for (std::string_view reserved : {"name", "next", "input", "index", "cmd"}) {
    if (name == reserved) return true;
  }
  return false;
}

/// Analyses one graph. The results go to arrays with one element per step.
class Analyser {
 public:
  constexpr Analyser(const ShapeStep* steps, int size, const int* targets, int* order, OpenSplit* around,
                     int* joined_by)
      : steps_(steps), size_(size), targets_(targets), order_(order), around_(around), joined_by_(joined_by) {}

  constexpr Verdict run() {
    find_ends();
    if (ok()) check_steps();
    if (ok()) find_order();
    if (ok()) find_splits();
    return verdict_;
  }

 private:
  constexpr bool ok() const { return verdict_.problem == Problem::none; }
  constexpr void fail(Problem problem, int step, int other = -1) {
    if (!ok()) return;
    verdict_.problem = problem;
    verdict_.step = step;
    verdict_.other = other;
  }

  constexpr int target(int step, int t) const { return targets_[steps_[step].first_target + t]; }

  constexpr void find_ends() {
    for (int i = 0; i < size_; ++i) {
      for (int j = i + 1; j < size_; ++j) {
        if (steps_[i].hash == steps_[j].hash && steps_[i].name == steps_[j].name) fail(Problem::duplicate_step, i);
      }
      if (reserved_step_name(steps_[i].name)) fail(Problem::reserved_name, i);
    }
    if (size_ == 1) {  // a flow of one step, of any name
      verdict_.start = verdict_.end = 0;
      return;
    }
    for (int i = 0; i < size_; ++i) {
      if (steps_[i].is_start || (steps_[i].name == "start" && verdict_.start < 0)) verdict_.start = i;
      if (steps_[i].is_end || (steps_[i].name == "end" && verdict_.end < 0)) verdict_.end = i;
    }
    if (verdict_.start < 0) fail(Problem::no_start, -1);
    if (verdict_.end < 0) fail(Problem::no_end, -1);
  }

  constexpr void check_steps() {
    for (int i = 0; i < size_; ++i) {
      for (int t = 0; t < steps_[i].target_count; ++t) {
        if (target(i, t) == verdict_.start) fail(Problem::start_is_entered, i);
      }
    }
    if (steps_[verdict_.end].transition != Transition::none) fail(Problem::end_has_transition, verdict_.end);
    if (steps_[verdict_.end].join) fail(Problem::end_is_join, verdict_.end);
    if (steps_[verdict_.start].join) fail(Problem::start_is_join, verdict_.start);
    for (int i = 0; i < size_; ++i) {
      const ShapeStep& step = steps_[i];
      if (!valid_step_name(step.name)) fail(Problem::bad_name, i);
      if (step.join && step.splits()) fail(Problem::join_and_split, i);
      if (step.transition == Transition::none && i != verdict_.end) fail(Problem::no_transition, i);
      if (step.transition == Transition::choose && step.target_count < 2) fail(Problem::few_cases, i);
      for (int t = 0; t < step.target_count; ++t) {
        if (target(i, t) == kUnknownStep) fail(Problem::unknown_target, i, t);
        for (int u = 0; step.transition == Transition::split && u < t; ++u) {
          if (target(i, t) == target(i, u)) fail(Problem::repeated_branch, i, target(i, t));
        }
      }
    }
  }

  enum Colour { kUnseen, kOpen, kDone };  // stored in joined_by_ until the joins are known

  // Depth first; a step that chooses itself is not a loop of the graph.
  constexpr void visit(int i) {
    joined_by_[i] = kOpen;
    for (int t = steps_[i].target_count; t-- > 0;) {  // the first target last, so that it comes first in the order
      const int to = target(i, t);
      if (to == i && steps_[i].transition == Transition::choose) continue;
      if (joined_by_[to] == kOpen) fail(Problem::loop, i, to);
      if (joined_by_[to] == kUnseen) visit(to);
    }
    joined_by_[i] = kDone;
    order_[--first_] = i;
  }

  constexpr void find_order() {
    first_ = size_;
    for (int i = 0; i < size_; ++i) joined_by_[i] = kUnseen;
    visit(verdict_.start);
    for (int i = 0; i < size_; ++i) {
      if (joined_by_[i] == kUnseen) fail(Problem::unreachable, i);
    }
  }

  constexpr void find_splits() {
    for (int i = 0; i < size_; ++i) {
      joined_by_[i] = -1;
      around_[i] = {};
    }
    for (int at = 0; at < size_ && ok(); ++at) {
      const int i = order_[at];
      if (i != verdict_.start) enter(i);
      if (steps_[i].takes_item && !inside_foreach(i)) fail(Problem::item_outside_foreach, i);
    }
    if (around_[verdict_.end].split >= 0) fail(Problem::unjoined_split, around_[verdict_.end].split);
  }

  constexpr bool inside_foreach(int i) const {
    for (int split = around_[i].split; split >= 0; split = around_[split].split) {
      if (steps_[split].transition == Transition::foreach) return true;
    }
    return false;
  }

  /// The innermost split on the way from a step to its t-th target.
  constexpr OpenSplit arrival(int from, int t) const {
    return steps_[from].splits() ? OpenSplit{from, t} : around_[from];
  }

  /// Checks all transitions into step i. They must agree on the splits around it; those into a join on all but the
  /// branch.
  constexpr void enter(int i) {
    bool first = true;
    OpenSplit agreed;
    for (int at = 0; at < size_; ++at) {
      const int from = order_[at];
      for (int t = 0; t < steps_[from].target_count; ++t) {
        if (from == i || target(from, t) != i) continue;
        if (steps_[i].join && steps_[from].splits()) return fail(Problem::empty_foreach, from, i);
        if (steps_[i].join && steps_[from].transition == Transition::choose)
          return fail(Problem::conditional_join, from, i);
        const OpenSplit open = arrival(from, t);
        if (steps_[i].join && open.split < 0) return fail(Problem::join_without_split, i);
        if (first) agreed = open;
        first = false;
        if (steps_[i].join && open.split != agreed.split) return fail(Problem::unrelated_join, i);
        if (!steps_[i].join && open != agreed) {
          if (i != verdict_.end) return fail(Problem::unjoined_paths, i);
          return fail(Problem::unjoined_split, agreed.split >= 0 ? agreed.split : open.split);
        }
      }
    }
    if (steps_[i].join) {
      join(i, agreed.split);
    } else {
      around_[i] = agreed;
    }
  }

  constexpr void join(int i, int split) {
    for (int branch = 0; branch < steps_[split].target_count; ++branch) {
      if (!joins_branch(i, {split, branch})) return fail(Problem::wrong_join_count, i, split);
    }
    if (joined_by_[split] >= 0) return fail(Problem::unrelated_join, i);
    joined_by_[split] = i;
    around_[i] = around_[split];
  }

  constexpr bool joins_branch(int i, OpenSplit branch) const {
    for (int from = 0; from < size_; ++from) {
      for (int t = 0; t < steps_[from].target_count; ++t) {
        if (target(from, t) == i && arrival(from, t) == branch) return true;
      }
    }
    return false;
  }

  const ShapeStep* steps_;
  int size_;
  const int* targets_;
  int* order_;
  OpenSplit* around_;
  int* joined_by_;
  int first_ = 0;
  Verdict verdict_;
};

}  // namespace metaflow::detail
