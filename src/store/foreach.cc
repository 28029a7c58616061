#include "store/foreach.h"

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
