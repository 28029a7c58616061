#include "runtime/task/task_frames.h"

#include "base/format.h"
#include "runtime/task/bookkeeping.h"
#include "store/foreach.h"
#include "store/item_labels.h"
#include "store/stored_artifact.h"

namespace metaflow::runtime {

using store::TaskData;

TaskFrames::TaskFrames(const detail::FlowDescription& flow, std::shared_ptr<const store::FlowStore> store,
                       CurrentTask& current)
    : flow_(flow),
      store_(std::move(store)),
      current_(current),
      label_of_([](const detail::StepDescription&, const Value& item) { return store::item_label(item); }) {}

void TaskFrames::open_single(const compute::StepArguments& arguments, const TaskData& input,
                             std::vector<store::ItemSource>& items) {
  stored_ = input.find("_foreach_stack");
  if (arguments.split_index || !input.items.empty() || !input.has_details) read_stored();
  if (arguments.split_index) enter_split(arguments, input, items);
  current_.items = items;
  if (!arguments.split_index) return;
  auto& frame = current_.current.foreach_stack.back();
  if (read_item_) {
    frame.value = read_item_(items.back(), frame.index);
    return;
  }
  item_ = store::read_foreach_item(*store_, items.back(), frame.index);
  const detail::StepDescription* split = flow_.find_step(arguments.inputs[0].step);  // null: of another program
  frame.value = split != nullptr ? label_of_(*split, item_.root()) : store::item_label(item_.root());
}

void TaskFrames::enter_split(const compute::StepArguments& arguments, const TaskData& input,
                             std::vector<store::ItemSource>& items) {
  const store::TaskRef& task = arguments.inputs[0];
  ForeachFrame frame{arguments.step, "", 0, *arguments.split_index, ""};
  if (input.has_details && !input.items.empty()) {
    frame.variable = input.items.back().variable;
    frame.num_splits = input.splits.value_or(0);
  } else {  // the split was made by a Python task
    frame.variable = read_bookkeeping(store_, task, input, "_foreach_var").root().as<std::string>();
    frame.num_splits = read_bookkeeping(store_, task, input, "_foreach_num_splits").root().as<std::size_t>();
    const store::ArtifactRecord* range = input.find(frame.variable);
    if (range == nullptr)
      throw Error(ErrorCode::data_missing,
                  fmt::format("The input {} has no artifact '{}' to fan out over", task.path(), frame.variable));
    items.push_back({frame.variable, range->key, range->size, ""});
  }
  stored_ = nullptr;
  current_.current.foreach_stack.push_back(frame);
}

void TaskFrames::open_join(const TaskData& split, std::vector<store::ItemSource>& items) {
  stored_ = split.find("_foreach_stack");
  items = split.items;
  if (split.splits && !items.empty()) items.pop_back();
  current_.items = items;
  if (!items.empty() || !split.has_details) read_stored();
}

void TaskFrames::read_stored() {
  if (stored_ != nullptr)
    current_.current.foreach_stack = store::decode_frames(store::StoredArtifact(store_, *stored_).read().root());
}

void TaskFrames::read_item() {
  const auto index = current_.current.index();
  if (item_.memory() == nullptr && index) item_ = store::read_foreach_item(*store_, current_.items.back(), *index);
}

}  // namespace metaflow::runtime
