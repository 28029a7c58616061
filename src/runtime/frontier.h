// What can be executed next: the tasks that a run is up to, and what each finished task adds to them.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "graph/graph.h"
#include "store/task_data.h"

namespace metaflow::runtime {

struct Split;

/// The place of a task: in which branch of which split it is; outside of any if `split` is null.
struct Position {
  std::shared_ptr<Split> split;
  std::size_t branch = 0;  // of a foreach: the item
};

/// A split that a task made and that has not been joined yet.
struct Split {
  int step = -1;        // the step that split
  store::TaskRef task;  // its task
  Position outer;       // where that task stands
  std::size_t branches = 0;
  struct Arrival {
    std::size_t branch;
    int step;
    std::string task;
  };
  std::vector<Arrival> arrived;  // at the join
};

/// A task that can start.
struct Ready {
  int step = -1;
  std::vector<store::TaskRef> inputs;
  Position position;
  std::optional<std::size_t> split_index;  // the first task in a foreach
  std::string joined_split;                // of a join: the task that split
  std::size_t iteration = 0;               // of a step that chooses itself
};

/// First in, first out; a foreach is one entry, whose tasks are made one by one, so that one over a million items costs
/// nothing. Not thread-safe.
class Frontier {
 public:
  /// `expect` is told of tasks that will come: how many more of which step.
  Frontier(const graph::Graph& graph, std::uint64_t max_num_splits, std::function<void(int, std::size_t)> expect)
      : graph_(graph), max_num_splits_(max_num_splits), expect_(std::move(expect)) {}

  /// The start step, on the parameters.
  void begin(const store::TaskRef& parameters);
  /// What follows from a task that has finished. Throws Error{step_failure}: what it left cannot be gone on from.
  void follow(const Ready& work, const store::TaskRef& task, const store::TaskData& data);

  bool empty() const { return queue_.empty(); }
  /// The step of the task that take() gives.
  int next_step() const;
  Ready take();
  /// The last step has finished.
  bool ended() const { return ended_; }

  /// Keeps a task that was taken for later: until restore(), when it can be taken again.
  void defer(Ready work);
  void restore();

  /// How many tasks can be taken, per step.
  std::vector<std::size_t> waiting() const;

  /// The foreach items around a task, outermost first.
  std::vector<std::size_t> indices(const Position& position) const;
  /// "a:0,b:2": the same, each with the step it fans out to.
  std::string execution_path(const Position& position) const;

 private:
  /// The tasks [next, end) of a foreach.
  struct FanOut {
    std::shared_ptr<Split> split;
    int step;
    std::size_t next;
    std::size_t end;
  };
  using Entry = std::variant<Ready, FanOut>;

  void split(const Ready& work, const store::TaskRef& task, const store::TaskData& data);
  void arrive(const Ready& work, const store::TaskRef& task, int join);
  void add(Ready work);

  const graph::Graph& graph_;
  std::uint64_t max_num_splits_;
  std::function<void(int, std::size_t)> expect_;
  std::deque<Entry> queue_;
  std::deque<Entry> deferred_;
  bool ended_ = false;
};

}  // namespace metaflow::runtime
