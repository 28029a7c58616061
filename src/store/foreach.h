// The foreachs around a task: their frames, and their items.
#pragma once

#include <string>
#include <vector>

#include <metaflow/current.h>
#include <metaflow/value.h>

#include "store/flow_store.h"

namespace metaflow::store {

/// The value of the artifact _foreach_stack: a list of metaflow's ForeachFrame tuples.
void encode_frames(detail::Pickler& out, const std::vector<ForeachFrame>& frames);
std::vector<ForeachFrame> decode_frames(const Value& value);

/// Writes a table with the positions of the items in their payload, so that an item is found without reading those
/// before it. Returns its key, or nothing if the range is so small that reading it whole is as fast.
std::string save_item_table(FlowStore& store, const std::vector<detail::ItemSpan>& items);

/// One item of a stored range.
Document read_foreach_item(const FlowStore& store, const ItemSource& source, std::size_t index);

}  // namespace metaflow::store
