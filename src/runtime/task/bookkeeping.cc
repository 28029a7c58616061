#include "runtime/task/bookkeeping.h"

#include <algorithm>

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
  if (facts.exception) {
    add(store, data, "_exception", [&](detail::Pickler& out) { detail::encode(out, *facts.exception); });
  }
  for (const char* inherited : {"name", "_graph_info"}) {
    if (const ArtifactRecord* record = input.find(inherited)) data.artifacts.push_back(*record);
  }
  data.place.clear();
  for (const ForeachFrame& frame : facts.frames) data.place.push_back(frame.index);
  data.iteration = facts.iteration;
  data.ok = facts.ok;
}

void add_split(const std::shared_ptr<FlowStore>& store, const detail::StepDescription& step,
               const std::vector<detail::ItemSpan>& items, const std::function<std::string(const Value&)>& label_of,
               TaskData& data) {
  const std::string& variable = step.variable;
  const auto range =
      std::find_if(data.artifacts.begin(), data.artifacts.end(), [&](const auto& a) { return a.name == variable; });
  const store::ItemSource source{variable, range->key, range->size, store::save_item_table(*store, items)};
  const Document document = StoredArtifact(store, *range).read();
  const Value& root = document.root();
  if (root.kind() == Kind::array && root.array().shape.size() != 1) {
    throw Error(ErrorCode::invalid_flow, fmt::format("Foreach over '{}': the array must have one dimension, not {}",
                                                     variable, root.array().shape.size()));
  }
  const std::size_t splits = root.size();
  if (splits == 0) {
    throw Error(ErrorCode::invalid_flow,
                fmt::format("Foreach iterator over {} in step {} produced zero splits. Check your variable.", variable,
                            step.name));
  }
  data.splits = splits;
  data.items.push_back(source);
  add(*store, data, "_foreach_var", [&](detail::Pickler& out) { out.text(variable); });
  add(*store, data, "_foreach_num_splits", [&](detail::Pickler& out) { out.unsigned_integer(splits); });
  add(*store, data, "_foreach_values", [&](detail::Pickler& out) {
    out.begin_list();
    for (std::size_t i = 0; i < splits; ++i) {
      out.next();
      out.text(label_of(root[i]));
    }
    out.end();
  });
}

}  // namespace metaflow::runtime
