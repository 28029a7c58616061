// The shape of a flow's graph, and whether it is a sound one. Used by the compiler (through static_assert) and at run
// time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace metaflow::detail {

enum class Transition : std::uint8_t {
  none,     // the last step
  linear,   // next<&F::a>
  split,    // next<&F::a, &F::b, ...>
  foreach,  // foreach<&F::items, &F::body>
  choose,   // choose<&F::value, when<...>...>
};

/// A step as far as the shape of the graph goes.
struct Node {
  std::string_view name;
  Transition transition = Transition::none;
  std::vector<int> targets;  // indices of steps; kUnknownStep for a step that is not in the graph
  bool join = false;
  bool takes_item = false;
};

inline constexpr int kUnknownStep = -1;

/// What is wrong with a graph; the order is that of Metaflow's checks where it has them.
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

/// One split that has not been joined yet: the step that splits and which of its branches.
struct OpenSplit {
  int split;
  int branch;
  constexpr bool operator==(const OpenSplit&) const = default;
};

struct Analysis {
  Problem problem = Problem::none;
  int step = -1;   // where
  int other = -1;  // the other step that matters, if any
  int start = -1;
  int end = -1;
  std::vector<int> order;                    // reachable steps, every step after those that lead to it
  std::vector<std::vector<OpenSplit>> open;  // per step: the splits around it, outermost first
  std::vector<int> matching_join;            // per step that splits: the join; else -1
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

/// Checks one graph. Works on plain vectors, at compile time too.
class Analyser {
 public:
  constexpr explicit Analyser(const std::vector<Node>& nodes) : nodes_(nodes), size_(static_cast<int>(nodes.size())) {}

  constexpr Analysis run() {
    find_ends();
    if (ok()) check_steps();
    if (ok()) find_order();
    if (ok()) find_splits();
    return std::move(result_);
  }

 private:
  constexpr bool ok() const { return result_.problem == Problem::none; }
  constexpr void fail(Problem problem, int step, int other = -1) {
    if (!ok()) return;
    result_.problem = problem;
    result_.step = step;
    result_.other = other;
  }
  constexpr const Node& node(int i) const { return nodes_[static_cast<std::size_t>(i)]; }

  constexpr void find_ends() {
    for (int i = 0; i < size_; ++i) {
      for (int j = i + 1; j < size_; ++j) {
        if (node(i).name == node(j).name) fail(Problem::duplicate_step, i);
      }
      if (reserved_step_name(node(i).name)) fail(Problem::reserved_name, i);
    }
    if (size_ == 1) {  // a flow of one step, of any name
      result_.start = result_.end = 0;
      return;
    }
    for (int i = 0; i < size_; ++i) {
      if (node(i).name == "start") result_.start = i;
      if (node(i).name == "end") result_.end = i;
    }
    if (result_.start < 0) fail(Problem::no_start, -1);
    if (result_.end < 0) fail(Problem::no_end, -1);
  }

  constexpr void check_steps() {
    for (int i = 0; i < size_; ++i) {
      for (int target : node(i).targets) {
        if (target == result_.start) fail(Problem::start_is_entered, i);
      }
    }
    if (node(result_.end).transition != Transition::none) fail(Problem::end_has_transition, result_.end);
    if (node(result_.end).join) fail(Problem::end_is_join, result_.end);
    if (node(result_.start).join) fail(Problem::start_is_join, result_.start);
    for (int i = 0; i < size_; ++i) {
      const Node& step = node(i);
      if (!valid_step_name(step.name)) fail(Problem::bad_name, i);
      if (step.join && (step.transition == Transition::split || step.transition == Transition::foreach))
        fail(Problem::join_and_split, i);
      if (step.transition == Transition::none && i != result_.end) fail(Problem::no_transition, i);
      if (step.transition == Transition::choose && step.targets.size() < 2) fail(Problem::few_cases, i);
      for (std::size_t t = 0; t < step.targets.size(); ++t) {
        if (step.targets[t] == kUnknownStep) fail(Problem::unknown_target, i);
        for (std::size_t u = 0; step.transition == Transition::split && u < t; ++u) {
          if (step.targets[t] == step.targets[u]) fail(Problem::repeated_branch, i, step.targets[t]);
        }
      }
    }
  }

  // Depth first; a step that chooses itself is recursion and no loop.
  constexpr void visit(int i, std::vector<int>& colour) {
    colour[static_cast<std::size_t>(i)] = 1;
    const std::vector<int>& targets = node(i).targets;
    for (std::size_t t = targets.size(); t-- > 0;) {  // the first target last, so that it comes first in the order
      const int target = targets[t];
      if (target == i && node(i).transition == Transition::choose) continue;
      const int seen = colour[static_cast<std::size_t>(target)];
      if (seen == 1) fail(Problem::loop, i, target);
      if (seen == 0) visit(target, colour);
    }
    colour[static_cast<std::size_t>(i)] = 2;
    result_.order.insert(result_.order.begin(), i);
  }

  constexpr void find_order() {
    std::vector<int> colour(nodes_.size(), 0);
    visit(result_.start, colour);
    for (int i = 0; i < size_; ++i) {
      if (colour[static_cast<std::size_t>(i)] == 0) fail(Problem::unreachable, i);
    }
  }

  constexpr void find_splits() {
    result_.open.assign(nodes_.size(), {});
    result_.matching_join.assign(nodes_.size(), -1);
    for (int i : result_.order) {
      if (i != result_.start) enter(i);
      if (!ok()) return;
      if (node(i).takes_item && !inside_foreach(i)) return fail(Problem::item_outside_foreach, i);
    }
    const auto& left = result_.open[static_cast<std::size_t>(result_.end)];
    if (!left.empty()) fail(Problem::unjoined_split, left.back().split);
  }

  constexpr bool inside_foreach(int i) const {
    for (const OpenSplit& split : result_.open[static_cast<std::size_t>(i)]) {
      if (node(split.split).transition == Transition::foreach) return true;
    }
    return false;
  }

  /// The open splits on one way into a step.
  struct Arrival {
    int from;
    std::vector<OpenSplit> open;
  };

  constexpr void enter(int i) {
    std::vector<Arrival> arrivals;
    for (int from : result_.order) {
      if (from == i) continue;
      const Node& step = node(from);
      for (std::size_t t = 0; t < step.targets.size(); ++t) {
        if (step.targets[t] != i) continue;
        Arrival arrival{from, result_.open[static_cast<std::size_t>(from)]};
        if (step.transition == Transition::split || step.transition == Transition::foreach) {
          if (node(i).join) return fail(Problem::empty_foreach, from, i);
          arrival.open.push_back({from, static_cast<int>(t)});
        }
        if (step.transition == Transition::choose && node(i).join) return fail(Problem::conditional_join, from, i);
        arrivals.push_back(std::move(arrival));
      }
    }
    if (node(i).join) {
      join(i, arrivals);
    } else {
      meet(i, arrivals);
    }
  }

  constexpr void meet(int i, std::vector<Arrival>& arrivals) {
    for (const Arrival& arrival : arrivals) {
      if (arrival.open != arrivals[0].open)
        return fail(i == result_.end ? Problem::unjoined_split : Problem::unjoined_paths,
                    i == result_.end ? innermost(arrivals) : i);
    }
    result_.open[static_cast<std::size_t>(i)] = std::move(arrivals[0].open);
  }

  static constexpr int innermost(const std::vector<Arrival>& arrivals) {
    for (const Arrival& arrival : arrivals) {
      if (!arrival.open.empty()) return arrival.open.back().split;
    }
    return -1;
  }

  constexpr void join(int i, std::vector<Arrival>& arrivals) {
    std::vector<int> branches;
    for (const Arrival& arrival : arrivals) {
      if (arrival.open.empty()) return fail(Problem::join_without_split, i);
      std::vector<OpenSplit> outer = arrival.open;
      std::vector<OpenSplit> first = arrivals[0].open;
      if (outer.size() != first.size() || outer.back().split != first.back().split)
        return fail(Problem::unrelated_join, i);
      branches.push_back(outer.back().branch);
      outer.pop_back();
      first.pop_back();
      if (outer != first) return fail(Problem::unrelated_join, i);
    }
    const int split = arrivals[0].open.back().split;
    for (int branch = 0; branch < static_cast<int>(node(split).targets.size()); ++branch) {
      bool arrived = false;
      for (int b : branches) arrived = arrived || b == branch;
      if (!arrived) return fail(Problem::wrong_join_count, i, split);
    }
    if (result_.matching_join[static_cast<std::size_t>(split)] >= 0) return fail(Problem::unrelated_join, i);
    result_.matching_join[static_cast<std::size_t>(split)] = i;
    arrivals[0].open.pop_back();
    result_.open[static_cast<std::size_t>(i)] = std::move(arrivals[0].open);
  }

  const std::vector<Node>& nodes_;
  int size_;
  Analysis result_;
};

constexpr Analysis analyse(const std::vector<Node>& nodes) { return Analyser(nodes).run(); }

}  // namespace metaflow::detail
