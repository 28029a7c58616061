#include "store/foreach.h"

#include <array>
#include <bit>
#include <cstring>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "value/nodes.h"
#include "value/unpickler.h"

namespace metaflow::store {

namespace {

constexpr std::size_t kTableFrom = 64;  // items

std::string text_member(const Value& tuple, std::size_t index) {
  if (index >= tuple.size() || tuple[index].kind() != Kind::text) return {};
  return std::string(tuple[index].text());
}

std::size_t size_member(const Value& tuple, std::size_t index) {
  if (index >= tuple.size() || tuple[index].kind() != Kind::integer) return 0;
  return static_cast<std::size_t>(tuple[index].integer());
}

}  // namespace

void encode_frames(detail::Pickler& out, const std::vector<ForeachFrame>& frames) {
  out.begin_list();
  for (const ForeachFrame& frame : frames) {
    out.next();
    out.begin_object("metaflow.tuple_util", "ForeachFrame", 5, true);
    out.text(frame.step);
    out.text(frame.variable);
    out.unsigned_integer(frame.num_splits);
    out.unsigned_integer(frame.index);
    out.text(frame.value);
    out.end();
  }
  out.end();
}

std::vector<ForeachFrame> decode_frames(const Value& value) {
  std::vector<ForeachFrame> frames;
  if (value.kind() != Kind::list) throw Error(ErrorCode::data_store, "The artifact _foreach_stack is not a list");
  for (std::size_t i = 0; i < value.size(); ++i) {
    const Value frame = value[i];
    frames.push_back({text_member(frame, 0), text_member(frame, 1), size_member(frame, 2), size_member(frame, 3),
                      text_member(frame, 4)});
  }
  return frames;
}

std::string save_item_table(FlowStore& store, const std::vector<detail::ItemSpan>& items) {
  if (items.size() < kTableFrom) return {};
  static_assert(sizeof(detail::ItemSpan) == 16);
  detail::Pickler pickler;
  const std::array<std::size_t, 2> shape{items.size(), 2};
  pickler.array('u', 8, shape, std::as_bytes(std::span(items)));
  pickler.finish();
  return store.save_value(pickler.parts());
}

std::string save_separate_items(FlowStore& store, const SeparateItems& items) {
  static_assert(std::endian::native == std::endian::little);
  std::vector<std::uint64_t> table{items.sizes.size()};
  std::uint64_t end = 0;
  for (const std::size_t size : items.sizes) table.push_back(end += size);
  const std::array<std::span<const std::byte>, 3> parts{std::as_bytes(std::span(kSeparateItems)),
                                                        std::as_bytes(std::span(table)),
                                                        std::as_bytes(std::span(items.bytes.substr(0, end)))};
  return store.save_value(parts);
}

std::optional<base::SharedBytes> read_separate_item(const FlowStore& store, const ItemSource& source,
                                                    std::size_t index) {
  if (source.separate.empty()) return std::nullopt;
  const base::SharedBytes value = store.load_value(source.separate, 0, source.variable);
  const std::string_view text = value.text();
  const auto damaged = [&] {
    return Error(ErrorCode::data_store, fmt::format("The items of the foreach over '{}' are damaged: blob {}",
                                                    source.variable, source.separate));
  };
  constexpr std::size_t kNumber = sizeof(std::uint64_t);
  const auto number = [&](std::size_t position) {
    std::uint64_t value = 0;
    std::memcpy(&value, text.data() + kSeparateItems.size() + position * kNumber, kNumber);
    return value;
  };
  if (!text.starts_with(kSeparateItems) || text.size() < kSeparateItems.size() + kNumber) throw damaged();
  const std::uint64_t count = number(0);
  if (count > (text.size() - kSeparateItems.size()) / kNumber - 1 || index >= count) throw damaged();
  const std::string_view items = text.substr(kSeparateItems.size() + (count + 1) * kNumber);
  const std::uint64_t begin = index == 0 ? 0 : number(index);
  const std::uint64_t end = number(index + 1);
  if (begin > end || end > items.size()) throw damaged();
  return base::SharedBytes(std::as_bytes(std::span(items.substr(begin, end - begin))), value.owner());
}

Document read_foreach_item(const FlowStore& store, const ItemSource& source, std::size_t index) {
  if (source.key.empty()) {
    throw Error(
        ErrorCode::data_missing,
        fmt::format("The items of the foreach over '{}' are not among the artifacts that the Python tasks before "
                    "this task passed on",
                    source.variable));
  }
  const base::SharedBytes payload = store.load_value(source.key, source.size, source.variable);
  auto out_of_range = [&](std::size_t size) {
    return Error(ErrorCode::data_store,
                 fmt::format("Item {} of the foreach over '{}' does not exist: there are {} items", index,
                             source.variable, size));
  };
  if (!source.offsets.empty()) {
    const Document table = value::read_pickle(store.load_value(source.offsets, 0, source.variable));
    const ArrayView view = table.root().array();
    if (view.item_size != 8 || view.shape.size() != 2 || view.shape[1] != 2)
      throw Error(ErrorCode::data_store, "The item table of '" + source.variable + "' is damaged");
    if (index >= view.shape[0]) throw out_of_range(view.shape[0]);
    detail::ItemSpan span{};
    std::memcpy(&span, view.bytes.data() + index * sizeof span, sizeof span);
    return value::read_item(payload, span.begin, span.end);
  }
  const Document document = value::read_pickle(payload);
  const Value& range = document.root();
  if (index >= range.size()) throw out_of_range(range.size());
  if (range.kind() == Kind::dict) {  // the item is a pair of key and value
    auto arena = std::make_shared<detail::Arena>();
    detail::ListNode& pair = arena->list();
    arena->append(pair, std::array{range[index], range.mapped(index)});
    struct Both {
      std::shared_ptr<detail::Arena> arena;
      Document document;
    };
    return Document(detail::ValueBuilder::list(Kind::tuple, &pair),
                    std::make_shared<Both>(Both{std::move(arena), document}));
  }
  return Document(range[index], document.memory());
}

}  // namespace metaflow::store
