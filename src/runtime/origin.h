// The run that `resume` continues: which of its tasks need not be executed again.
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

/// The finished tasks of a run by where they stand in the graph. Keeps some hundred bytes per task. Not thread-safe.
class Origin {
 public:
  struct Finished {
    std::string task;
    int attempt = 0;
  };

  /// Reads what the run left. `from_step`: execute this step again, and all that come after it; empty: none. Throws
  /// Error{data_store} for a store that cannot be read.
  Origin(const graph::Graph& graph, const Language& language, const store::FlowStore& store, std::string run,
         const std::string& from_step);

  const std::string& run() const { return run_; }
  /// How many tasks can be cloned.
  std::size_t size() const { return finished_.size(); }

  /// The finished task of a step at these items of the foreachs around it; `iteration` counts for a step that chooses
  /// itself. Null: it is to be executed.
  const Finished* find(int step, const std::vector<std::size_t>& indices, std::size_t iteration) const;

  /// What such tasks left: of which step, and which. Throws Error{invalid_command} if the flow is not any more the one
  /// that one was a task of. Steps that are executed again may have other names now: `next` has these then,
  /// and the details are no longer those in the store.
  std::vector<store::TaskData> read(std::span<const std::pair<int, const Finished*>> tasks);
  /// Whether read() has given steps that follow other names than the tasks of this one did.
  bool has_renamed_next(int step) const { return renamed_next_.contains(step); }
  /// Throws Error{invalid_command} if what it left does not fit the artifacts of the flow any more.
  void check_types(int step, const Finished& task, const store::TaskData& data) const;
  /// Why what tasks left cannot be trusted; nothing if it can.
  std::vector<std::optional<std::string>> find_damage(std::span<const store::TaskData> tasks);

 private:
  void collect(int step, std::span<std::string> tasks);
  void fit(int step, const Finished& task, store::TaskData& data);
  bool are_renamed(const std::vector<std::string>& before, const std::vector<std::string>& now) const;
  std::string key(int step, const std::vector<std::size_t>& indices, std::size_t iteration) const;

  const graph::Graph& graph_;
  const Language& language_;
  const store::FlowStore& store_;
  std::string run_;
  std::set<int> again_;         // steps that are executed again
  std::set<int> renamed_next_;  // steps whose tasks name those that follow by names of before
  std::unordered_map<std::string, Finished> finished_;
  std::unordered_map<const Finished*, store::TaskData> kept_;  // of some: they are not read twice
  std::unordered_set<std::string> good_blobs_;
};

/// `step` and every step that can come after it.
std::set<int> and_all_after(const graph::Graph& graph, int step);

}  // namespace metaflow::runtime
