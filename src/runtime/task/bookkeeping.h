// The artifacts that Metaflow itself wants of every task: what the clients, `resume` and flows in Python look at.
// docs/format.md lists them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <metaflow/caught.h>
#include <metaflow/current.h>

#include "store/flow_store.h"

namespace metaflow::runtime {

/// What is to be said of a task that has ended.
struct TaskFacts {
  std::string step{};
  bool ok = true;       // the run may go on from it
  bool success = true;  // its step did not fail; a failure that was caught is ok and no success
  std::optional<std::size_t> iteration{};
  std::vector<ForeachFrame> frames{};                    // the foreachs around it
  const store::ArtifactRecord* stored_frames = nullptr;  // the same, if it is in the store already
  std::optional<CaughtException> exception{};            // that ended it
};

/// Adds them to `data`, whose `next`, `splits` and `items` are known. `input`: those that are passed on come from
/// there.
void add_bookkeeping(store::FlowStore& store, const TaskFacts& facts, const store::TaskData& input,
                     store::TaskData& data);

/// Notes anew which steps follow, for a task whose `next` is another now.
void replace_transition(store::FlowStore& store, store::TaskData& data);

/// Adds what a foreach notes of its range, and to `data` how many items there are and where. `items`: where they stand
/// in the payload of the range, if it is not an array. Throws Error{invalid_flow} for a range that cannot be fanned out
/// over.
void add_split(const std::shared_ptr<store::FlowStore>& store, const std::string& step, const std::string& variable,
               const std::vector<detail::ItemSpan>& items, store::TaskData& data);

}  // namespace metaflow::runtime
