// The tasks of a run that can start, and the tasks that each finished task adds to them.
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
#include "store/item_labels.h"
#include "store/task_data.h"

namespace metaflow::runtime {

struct Split;

/// The place of a task in the graph: a branch of a split. `split` is null outside of any split.
struct Position {
  std::shared_ptr<Split> split;
  std::size_t branch = 0;  // of a foreach: the item
};

/// A split whose join has not started yet.
struct Split {
  int step = -1;        // the step that split
  store::TaskRef task;  // its task
  Position outer;       // the place of that task
  std::size_t branches = 0;
  std::shared_ptr<const store::ItemLabels> labels{};  // of a foreach; null: none
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
  std::optional<std::size_t> split_index;  // set for the first task in a foreach
  std::string joined_split;                // of a join: the task that made the split
  std::size_t iteration = 0;               // of a step that chooses itself: 0, 1, ...
};

/// A FIFO queue. A foreach is one entry whose tasks are made one by one, so the memory for a foreach over a million
/// items is constant. Not thread-safe.
class Frontier {
 public:
  /// `command`: the program as users call it, for hints. `expect` is called with a step and the number of tasks of it
  /// that will follow.
  Frontier(const graph::Graph& graph, std::uint64_t max_num_splits, std::string command,
           std::function<void(int, std::size_t)> expect)
      : graph_(graph), max_num_splits_(max_num_splits), command_(std::move(command)), expect_(std::move(expect)) {}

  /// Adds the start step; its input is the task `_parameters`.
  void begin(const store::TaskRef& parameters);
  /// Adds the tasks that follow a finished task. `labels`: of the items, if it yields a foreach. Throws
  /// Error{step_failure} if its result does not allow that.
  void follow(const Ready& work, const store::TaskRef& task, const store::TaskData& data,
              std::shared_ptr<const store::ItemLabels> labels = nullptr);

  bool empty() const { return queue_.empty(); }
  /// The step of the task that take() gives.
  int next_step() const;
  Ready take();
  /// Whether the last step has finished.
  bool ended() const { return ended_; }

  /// Puts a task that was taken aside, until restore() makes it available again.
  void defer(Ready work);
  void restore();

  /// The number of tasks that can be taken, per step.
  std::vector<std::size_t> waiting() const;

  /// The foreach items around a task, outermost first.
  std::vector<std::size_t> indices(const Position& position) const;
  /// Their labels: "north, 0.5"; empty: they have none.
  std::string label(const Position& position) const;
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

  void split(const Ready& work, const store::TaskRef& task, const store::TaskData& data,
             std::shared_ptr<const store::ItemLabels> labels);
  void arrive(const Ready& work, const store::TaskRef& task, int join);
  void add(Ready work);

  const graph::Graph& graph_;
  std::uint64_t max_num_splits_;
  std::string command_;
  std::function<void(int, std::size_t)> expect_;
  std::deque<Entry> queue_;
  std::deque<Entry> deferred_;
  bool ended_ = false;
};

}  // namespace metaflow::runtime
