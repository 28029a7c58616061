// The run that `resume` continues: which of its tasks can be cloned.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "graph/graph.h"
#include "runtime/language.h"
#include "store/flow_store.h"

namespace metaflow::runtime {

/// The finished tasks of a run, by their place in the graph. Needs some hundred bytes per task. Not thread-safe.
class Origin {
 public:
  struct Finished {
    std::string task;
    int attempt = 0;
  };

  /// Reads the results of the run. `from_step`: execute this step and all after it again; empty: none. Throws
  /// Error{data_store} if the store cannot be read.
  Origin(const graph::Graph& graph, const Language& language, const store::FlowStore& store, std::string run,
         const std::string& from_step);

  const std::string& run() const { return run_; }
  /// How many tasks can be cloned.
  std::size_t size() const { return finished_.size(); }

  /// The finished task of a step at these items of the foreachs around it. `iteration`: of a step that chooses itself.
  /// Null: the task has to be executed.
  const Finished* find(int step, const std::vector<std::size_t>& indices, std::size_t iteration) const;

  /// The results of tasks, each with its step. Throws Error{invalid_command} if a task does not match the current flow.
  /// If steps that are executed again were renamed, `next` has the new names, and the details differ from those in the
  /// store.
  std::vector<store::TaskData> read(std::span<const std::pair<int, const Finished*>> tasks);
  /// Whether read() replaced names of next steps in the tasks of this step.
  bool has_renamed_next(int step) const { return renamed_next_.contains(step); }
  /// Throws Error{invalid_command} if a value does not fit the type of its artifact in the current flow.
  void check_types(int step, const Finished& task, const store::TaskData& data) const;
  /// Per task, why its values cannot be used; nothing if they can.
  std::vector<std::optional<std::string>> find_damage(std::span<const store::TaskData> tasks);

 private:
  void collect(int step, std::span<std::string> tasks);
  void check_next(int step, const Finished& task, store::TaskData& data);
  bool are_renamed(const std::vector<std::string>& before, const std::vector<std::string>& now) const;
  std::string key(int step, const std::vector<std::size_t>& indices, std::size_t iteration) const;

  const graph::Graph& graph_;
  const Language& language_;
  const store::FlowStore& store_;
  std::string run_;
  std::set<int> again_;         // steps that are executed again
  std::set<int> renamed_next_;  // steps whose tasks refer to next steps by their old names
  std::unordered_map<std::string, Finished> finished_;
  std::unordered_map<const Finished*, store::TaskData> kept_;  // a cache, so that tasks are not read twice
  std::unordered_set<std::string> good_blobs_;
};

/// `step` and every step that can come after it.
std::set<int> steps_from(const graph::Graph& graph, int step);

}  // namespace metaflow::runtime
