// The artifacts that Metaflow requires of every task: clients, `resume` and flows in Python read them. docs/format.md
// lists them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <metaflow/caught.h>
#include <metaflow/current.h>
#include <metaflow/detail/description.h>

#include "store/flow_store.h"

namespace metaflow::runtime {

/// The facts about a finished task that its artifacts record.
struct TaskFacts {
  std::string step{};
  std::string flow{};   // for the artifact `name`, if steps may set another one; empty: it is that of the input
  bool ok = true;       // the run may continue from it
  bool success = true;  // the step did not fail; a caught failure is ok but not a success
  std::optional<std::size_t> iteration{};
  std::vector<ForeachFrame> frames{};                    // the foreachs around it
  const store::ArtifactRecord* stored_frames = nullptr;  // the same, if it is in the store already
  std::optional<CaughtException> exception{};            // the exception that ended it
};

/// Whether Metaflow itself writes an artifact of this name, beside those of the flow.
bool is_bookkeeping(std::string_view name);
/// Adds the names of the flow's artifacts that are not among `names` yet.
void add_names(const store::TaskData& data, std::vector<std::string>& names);

/// Adds them to `data`, whose `next`, `splits` and `items` are set. `input`: the source of those that are passed on.
void add_bookkeeping(store::FlowStore& store, const TaskFacts& facts, const store::TaskData& input,
                     store::TaskData& data);

/// Reads such an artifact of a finished task. Throws Error{data_missing} if it is not there, Error{data_store,
/// invalid_value}.
Document read_bookkeeping(const std::shared_ptr<const store::FlowStore>& store, const store::TaskRef& task,
                          const store::TaskData& data, std::string_view name);

/// Writes the artifact `_transition` again, for a task whose `next` has changed.
void replace_transition(store::FlowStore& store, store::TaskData& data);

/// What a step fans out over, from a language whose values are not Values.
struct FanOut {
  std::size_t count = 0;
  std::vector<std::string> labels;   // one per item
  std::string items{};               // each can be read alone, one after the other; empty: tasks read the whole range
  std::vector<std::size_t> sizes{};  // of the items, in bytes
};
/// As the other function, for a range that its language has counted.
void add_split(store::FlowStore& store, const detail::StepDescription& step, const FanOut& items,
               store::TaskData& data);

/// Adds the artifacts of a foreach, and to `data` the number and the positions of the items. `items`: their positions
/// in the payload of the range, if it is not an array. Throws Error{invalid_flow} for a range that a foreach cannot
/// iterate over. `label_of`: the label of an item.
void add_split(const std::shared_ptr<store::FlowStore>& store, const detail::StepDescription& step,
               const std::vector<detail::ItemSpan>& items, const std::function<std::string(const Value&)>& label_of,
               store::TaskData& data);

}  // namespace metaflow::runtime
