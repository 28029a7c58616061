// The foreachs around a task: their frames, and their items.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
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

/// Items in the encoding of a language, each of which can be read without the others. `sizes`: the bytes of each item
/// in `bytes`. The stored value: kSeparateItems, the number of items and the end of each in `bytes` as
/// little-endian 64-bit numbers, and `bytes`.
inline constexpr std::string_view kSeparateItems = "mfitems1";
struct SeparateItems {
  std::string_view bytes;
  std::span<const std::size_t> sizes;
};
/// Returns the key.
std::string save_separate_items(FlowStore& store, const SeparateItems& items);
/// The bytes of one item; nothing if the range has no separate items. Throws Error{data_store, data_missing}.
std::optional<base::SharedBytes> read_separate_item(const FlowStore& store, const ItemSource& source,
                                                    std::size_t index);

/// One item of a stored range.
Document read_foreach_item(const FlowStore& store, const ItemSource& source, std::size_t index);

}  // namespace metaflow::store
