#include "value/expansion.h"

#include <vector>

namespace metaflow::value {

using detail::Expansion;
using detail::kExcessive;
using detail::ListNode;
using detail::ValueBuilder;

namespace {

constexpr Expansion kUnknown = 0;
constexpr Expansion kInProgress = 1;  // being measured: a reference to it is a cycle

Expansion sum(Expansion a, Expansion b) {
  Expansion result = 0;
  return __builtin_add_overflow(a, b, &result) ? kExcessive : result;
}

/// The parts of a container that may be containers themselves.
std::size_t part_count(const Value& value) {
  switch (value.kind()) {
    case Kind::list:
    case Kind::tuple:
    case Kind::set: return ValueBuilder::list_of(value)->values().size();
    case Kind::dict: return 2 * value.size();
    case Kind::object: return value.size() + 1;
    default: return 0;
  }
}

Value part(const Value& value, std::size_t i) {
  switch (value.kind()) {
    case Kind::dict: return i % 2 == 0 ? value[i / 2] : value.mapped(i / 2);
    case Kind::object: return i < value.size() ? value[i] : value.state();
    default: return value[i];
  }
}

/// The expansion of the container itself, without its parts.
Expansion own(const Value& value) {
  switch (value.kind()) {
    case Kind::list:
    case Kind::tuple:
    case Kind::set: {
      const ListNode* node = ValueBuilder::list_of(value);
      return 2 + (node->packing == ListNode::Packing::values ? 0 : node->size);
    }
    case Kind::array: {
      // The elements, and the rows, which exist even without elements.
      Expansion count = 2 + ValueBuilder::array_of(value)->view.bytes.size() / 16;
      Expansion rows = 1;
      for (std::size_t size : ValueBuilder::array_of(value)->view.shape) {
        if (size == 0) break;
        if (__builtin_mul_overflow(rows, size, &rows)) return kExcessive;
        count = sum(count, rows);
      }
      return count;
    }
    default: return 2;
  }
}

}  // namespace

Expansion expansion_of_leaf(const Value& value) {
  switch (value.kind()) {
    case Kind::text: return 1 + value.text().size() / 16;
    case Kind::bytes: return 1 + value.bytes().size() / 16;
    case Kind::big_integer: return value.unsigned_integer() ? 1 : 1 + value.magnitude().size() / 4;
    default: return 1;
  }
}

void measure_expansion(const Value& root, Expansion limit) {
  struct Open {
    Value container;
    std::size_t next;  // part
    Expansion count;
  };
  std::vector<Open> open;
  auto enter = [&](const Value& value) -> Expansion {
    Expansion* counter = detail::expansion_of(value);
    if (counter == nullptr) return expansion_of_leaf(value);
    if (*counter == kInProgress) return kExcessive;
    if (*counter != kUnknown) return *counter;
    *counter = kInProgress;
    open.push_back({value, 0, own(value)});
    return 0;  // added when the container is complete
  };
  enter(root);
  while (!open.empty()) {
    Open& top = open.back();
    if (top.next < part_count(top.container)) {
      const Value next = part(top.container, top.next++);
      const std::size_t index = open.size() - 1;
      const Expansion count = enter(next);
      open[index].count = sum(open[index].count, count);
      continue;
    }
    const Expansion count = top.count > limit ? kExcessive : top.count;
    *detail::expansion_of(top.container) = count;
    open.pop_back();
    if (!open.empty()) open.back().count = sum(open.back().count, count);
  }
}

}  // namespace metaflow::value
