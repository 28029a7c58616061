// The foreachs around a task, and the item of the innermost one.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <metaflow/detail/description.h>
#include <metaflow/value.h>

#include "compute/step_arguments.h"
#include "runtime/task/current_task.h"
#include "store/flow_store.h"

namespace metaflow::runtime {

/// Finds them in the store and sets those of current(). Not thread-safe.
class TaskFrames {
 public:
  /// Returns the label of an item to which the step `split` fans out.
  using LabelOf = std::function<std::string(const detail::StepDescription& split, const Value& item)>;
  /// Reads item `index` of a range. Returns its label.
  using ReadItem = std::function<std::string(const store::ItemSource& range, std::size_t index)>;

  /// `flow` and `current` outlive this object.
  TaskFrames(const detail::FlowDescription& flow, std::shared_ptr<const store::FlowStore> store, CurrentTask& current);

  /// Default: store::item_label().
  void set_labels(LabelOf label_of) { label_of_ = std::move(label_of); }
  /// For a language whose values are not Values: item() stays empty.
  void set_item_reader(ReadItem read_item) { read_item_ = std::move(read_item); }

  /// The frames of a task with one input: those of the input, and one for the split that the input made, if it did.
  /// `items` are the ranges of the input's frames; that of the split is added if the input does not name it. Throws
  /// Error{data_missing}.
  void open_single(const compute::StepArguments& arguments, const store::TaskData& input,
                   std::vector<store::ItemSource>& items);
  /// The frames of a join: those around the task that made the split. `items` becomes their ranges. `split` outlives
  /// this object.
  void open_join(const store::TaskData& split, std::vector<store::ItemSource>& items);
  /// Reads the item of the innermost foreach, if there is one, unless it was read.
  void read_item();

  /// The item of the innermost foreach; none outside of any, or if it was not read.
  const Value& item() const { return item_.root(); }
  /// The frames as they are in the store already; null if they differ.
  const store::ArtifactRecord* stored() const { return stored_; }
  std::string label_of(const detail::StepDescription& split, const Value& item) const { return label_of_(split, item); }

 private:
  void enter_split(const compute::StepArguments& arguments, const store::TaskData& input,
                   std::vector<store::ItemSource>& items);
  void read_stored();

  const detail::FlowDescription& flow_;
  std::shared_ptr<const store::FlowStore> store_;
  CurrentTask& current_;
  const store::ArtifactRecord* stored_ = nullptr;
  Document item_;
  LabelOf label_of_;
  ReadItem read_item_;
};

}  // namespace metaflow::runtime
