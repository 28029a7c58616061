#include "runtime/task/bookkeeping.h"

#include <algorithm>
#include <array>

#include <metaflow/error.h>

#include "base/format.h"
#include "store/foreach.h"
#include "store/stored_artifact.h"

namespace metaflow::runtime {

using store::ArtifactRecord;
using store::FlowStore;
using store::save_value;
using store::StoredArtifact;
using store::TaskData;

namespace {

template <class F>
void add(FlowStore& store, TaskData& data, const char* name, F encode) {
  data.artifacts.push_back(save_value(store, name, encode));
}

void add_transition(FlowStore& store, TaskData& data) {
  add(store, data, "_transition", [&](detail::Pickler& out) {
    if (data.next.empty()) return out.none();
    out.begin_tuple(2);
    detail::encode(out, data.next);
    if (data.splits && !data.items.empty()) {
      out.text(data.items.back().variable);
    } else {
      out.none();
    }
    out.end();
  });
}

}  // namespace

Document read_bookkeeping(const std::shared_ptr<const FlowStore>& store, const store::TaskRef& task,
                          const TaskData& data, std::string_view name) {
  const ArtifactRecord* record = data.find(name);
  if (record == nullptr)
    throw Error(ErrorCode::data_missing, fmt::format("Task {} has no artifact '{}'", task.path(), name));
  return StoredArtifact(store, *record).read();
}

void replace_transition(FlowStore& store, TaskData& data) {
  std::erase_if(data.artifacts, [](const ArtifactRecord& artifact) { return artifact.name == "_transition"; });
  add_transition(store, data);
  std::sort(data.artifacts.begin(), data.artifacts.end(),
            [](const ArtifactRecord& a, const ArtifactRecord& b) { return a.name < b.name; });
}

void add_bookkeeping(FlowStore& store, const TaskFacts& facts, const TaskData& input, TaskData& data) {
  add(store, data, "_task_ok", [&](detail::Pickler& out) { out.boolean(facts.ok); });
  add(store, data, "_success", [&](detail::Pickler& out) { out.boolean(facts.success); });
  add(store, data, "_current_step", [&](detail::Pickler& out) { out.text(facts.step); });
  add(store, data, "_iteration_stack", [&](detail::Pickler& out) {
    out.begin_list();
    if (facts.iteration) {
      out.next();
      out.unsigned_integer(*facts.iteration);
    }
    out.end();
  });
  add_transition(store, data);
  if (facts.stored_frames != nullptr) {
    data.artifacts.push_back(*facts.stored_frames);
  } else {
    add(store, data, "_foreach_stack", [&](detail::Pickler& out) { store::encode_frames(out, facts.frames); });
  }
  if (facts.exception && !facts.ok) {  // a caught one is in the artifact that `catch` names
    add(store, data, "_exception", [&](detail::Pickler& out) { detail::encode(out, *facts.exception); });
  }
  const auto is_name = [](const ArtifactRecord& artifact) { return artifact.name == "name"; };
  if (facts.flow.empty()) {
    if (const ArtifactRecord* name = input.find("name")) data.artifacts.push_back(*name);
  } else if (std::none_of(data.artifacts.begin(), data.artifacts.end(), is_name)) {
    add(store, data, "name", [&](detail::Pickler& out) { out.text(facts.flow); });
  }
  if (const ArtifactRecord* graph = input.find("_graph_info")) data.artifacts.push_back(*graph);
  data.place.clear();
  for (const ForeachFrame& frame : facts.frames) data.place.push_back(frame.index);
  data.iteration = facts.iteration;
  data.ok = facts.ok;
}

bool is_bookkeeping(std::string_view name) {
  static constexpr std::array kNames{
      std::string_view("_current_step"),  std::string_view("_exception"),       std::string_view("_foreach_num_splits"),
      std::string_view("_foreach_stack"), std::string_view("_foreach_values"),  std::string_view("_foreach_var"),
      std::string_view("_graph_info"),    std::string_view("_iteration_stack"), std::string_view("_success"),
      std::string_view("_task_ok"),       std::string_view("_transition"),      std::string_view("name")};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

void add_names(const TaskData& data, std::vector<std::string>& names) {
  for (const ArtifactRecord& artifact : data.artifacts) {
    if (!is_bookkeeping(artifact.name) && std::find(names.begin(), names.end(), artifact.name) == names.end())
      names.push_back(artifact.name);
  }
}

namespace {

/// The artifacts of a foreach over so many items. `label(i)`: the label of an item.
template <class Label>
void add_foreach(FlowStore& store, const std::string& variable, std::size_t splits, Label label, TaskData& data) {
  data.splits = splits;
  add(store, data, "_foreach_var", [&](detail::Pickler& out) { out.text(variable); });
  add(store, data, "_foreach_num_splits", [&](detail::Pickler& out) { out.unsigned_integer(splits); });
  add(store, data, "_foreach_values", [&](detail::Pickler& out) {
    out.begin_list();
    for (std::size_t i = 0; i < splits; ++i) {
      out.next();
      out.text(label(i));
    }
    out.end();
  });
}

const ArtifactRecord& range_of(const detail::StepDescription& step, const TaskData& data) {
  const ArtifactRecord* range = nullptr;
  for (const ArtifactRecord& artifact : data.artifacts) {
    if (artifact.name == step.variable) range = &artifact;
  }
  if (range == nullptr)
    throw Error(ErrorCode::invalid_flow,
                fmt::format("Step {} has no artifact '{}' to fan out over", step.name, step.variable));
  return *range;
}

void require_items(const detail::StepDescription& step, std::size_t splits) {
  if (splits == 0)
    throw Error(ErrorCode::invalid_flow,
                fmt::format("Foreach iterator over {} in step {} produced zero splits. Check your variable.",
                            step.variable, step.name));
}

}  // namespace

void add_split(FlowStore& store, const detail::StepDescription& step, const FanOut& items, TaskData& data) {
  const ArtifactRecord& range = range_of(step, data);
  require_items(step, items.count);
  data.items.push_back({step.variable, range.key, range.size, ""});
  if (!items.sizes.empty()) data.items.back().separate = store::save_separate_items(store, {items.items, items.sizes});
  add_foreach(
      store, step.variable, items.count, [&](std::size_t i) { return items.labels.at(i); }, data);
}

void add_split(const std::shared_ptr<FlowStore>& store, const detail::StepDescription& step,
               const std::vector<detail::ItemSpan>& items, const std::function<std::string(const Value&)>& label_of,
               TaskData& data) {
  const ArtifactRecord& range = range_of(step, data);
  const store::ItemSource source{step.variable, range.key, range.size, store::save_item_table(*store, items)};
  const Document document = StoredArtifact(store, range).read();
  const Value& root = document.root();
  if (root.kind() == Kind::array && root.array().shape.size() != 1) {
    throw Error(ErrorCode::invalid_flow, fmt::format("Foreach over '{}': the array must have one dimension, not {}",
                                                     step.variable, root.array().shape.size()));
  }
  require_items(step, root.size());
  data.items.push_back(source);
  add_foreach(
      *store, step.variable, root.size(), [&](std::size_t i) { return label_of(root[i]); }, data);
}

}  // namespace metaflow::runtime
