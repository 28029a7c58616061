#include "store/item_labels.h"

#include <algorithm>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "base/utf8.h"
#include "value/unpickler.h"

namespace metaflow::store {

namespace {

constexpr std::size_t kMostBytes = kLabelCharacters * 4 + 4;  // a character has at most four bytes
constexpr std::string_view kCut = "...";

/// The begin of a text that may have been cut by `text_of` already.
std::string begin_of(std::string_view text) {
  if (base::characters(text) <= kLabelCharacters) return std::string(text);
  return fmt::format("{}{}", base::first_characters(text, kLabelCharacters - kCut.size()), kCut);
}

/// Texts that begin alike, such as paths, often differ at their ends.
std::string without_middle(std::string_view text) {
  constexpr std::size_t kBegin = (kLabelCharacters - kCut.size()) / 2;
  if (base::characters(text) <= kLabelCharacters) return std::string(text);
  return fmt::format("{}{}{}", base::first_characters(text, kBegin), kCut,
                     base::last_characters(text, kLabelCharacters - kCut.size() - kBegin));
}

bool is_struct(const Value& item) {
  if (item.kind() != Kind::dict || item.size() == 0) return false;
  for (std::size_t i = 0; i < std::min(item.size(), kLabelCharacters); ++i)
    if (item[i].kind() != Kind::text) return false;
  return true;
}

std::string members_of(const Value& item) {
  std::string text;
  for (std::size_t i = 0; i < item.size() && text.size() <= kMostBytes; ++i)
    text += fmt::format("{}{}={}", i == 0 ? "" : ", ", item[i].text(), text_of(item.mapped(i), kMostBytes));
  return begin_of(text);
}

}  // namespace

std::string item_label(const Value& item) {
  if (item.kind() == Kind::text) return without_middle(item.text());
  return is_struct(item) ? members_of(item) : begin_of(text_of(item, kMostBytes));
}

std::string own_label(std::string_view text) {
  return without_middle(base::find_invalid_utf8(text) == std::string_view::npos ? std::string(text)
                                                                                : base::replace_invalid_utf8(text));
}

ItemLabels::ItemLabels(const Value& list) {
  ends_.reserve(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i].kind() == Kind::text) text_ += base::first_characters(list[i].text(), kLabelCharacters);
    ends_.push_back(static_cast<std::uint32_t>(text_.size()));
  }
}

std::string_view ItemLabels::of(std::size_t item) const {
  if (item >= ends_.size()) return {};
  const std::size_t begin = item == 0 ? 0 : ends_[item - 1];
  return std::string_view(text_).substr(begin, ends_[item] - begin);
}

const ArtifactRecord* labels_record(const TaskData& data) {
  const ArtifactRecord* record = data.splits ? data.find("_foreach_values") : nullptr;
  return record != nullptr && record->size > 0 && record->size <= ItemLabels::kMostBytes ? record : nullptr;
}

std::shared_ptr<const ItemLabels> read_labels(const FlowStore& store, const ArtifactRecord& record,
                                              std::optional<base::SharedBytes>&& blob) {
  try {
    const Document document = value::read_pickle(store.unpacked(std::move(blob), record));
    if (document.root().kind() != Kind::list) return nullptr;
    return std::make_shared<ItemLabels>(document.root());
  } catch (const Error&) {
    return nullptr;
  }
}

}  // namespace metaflow::store
