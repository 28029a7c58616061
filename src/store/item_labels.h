// The labels of a foreach's items: short texts for people, which show the item that a task works on. The task that
// yields the foreach stores them as _foreach_values, and each task its own in _foreach_stack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <metaflow/value.h>

#include "store/flow_store.h"

namespace metaflow::store {

/// The longest label, in characters: Metaflow's MAXIMUM_FOREACH_VALUE_CHARS.
inline constexpr std::size_t kLabelCharacters = 30;

/// The label of an item that its flow gives none: numbers and texts as they are, "x=1, y=2" of a struct, other values
/// as Python prints them. A longer text loses its middle, other values their end.
std::string item_label(const Value& item);
/// A flow's own label: valid UTF-8 of the same length. Its middle is replaced by "..." if it is longer.
std::string own_label(std::string_view text);

/// The labels of all items of a foreach, in one text. Immutable.
class ItemLabels {
 public:
  /// Longer lists of labels, in bytes, are not read: a scheduler would need too much memory.
  static constexpr std::uint64_t kMostBytes = 8 << 20;

  explicit ItemLabels(const Value& list);
  /// Empty if the item has none.
  std::string_view of(std::size_t item) const;

 private:
  std::string text_;
  std::vector<std::uint32_t> ends_;
};

/// The artifact with the labels at a task that yields a foreach; null: it has none, or its list is too long.
const ArtifactRecord* labels_record(const TaskData& data);
/// The labels from the blob of that artifact; null if they cannot be read: a run does not fail for it.
std::shared_ptr<const ItemLabels> read_labels(const FlowStore& store, const ArtifactRecord& record,
                                              std::optional<base::SharedBytes>&& blob);

}  // namespace metaflow::store
