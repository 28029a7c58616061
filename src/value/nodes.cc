#include "value/nodes.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace metaflow::detail {

namespace {

// Blocks of this size or more are separate mallocs, so that they can grow in place: realloc moves pages, not bytes.
constexpr std::size_t kLarge = 64 * 1024;
constexpr std::size_t kLargestChunk = 64 * 1024;

// The index in Arena::blocks_, stored in front of a large block.
constexpr std::size_t kHeader = 16;

void* resized(void* block, std::size_t bytes) {
  void* memory = std::realloc(block, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

Arena::~Arena() {
  for (void* block : blocks_) std::free(block);
}

void* Arena::allocate_slow(std::size_t bytes) {
  if (bytes >= kLarge) {
    blocks_.push_back(nullptr);
    return blocks_.back() = resized(nullptr, bytes);
  }
  blocks_.push_back(nullptr);
  blocks_.back() = resized(nullptr, std::max(chunk_size_, bytes));
  at_ = static_cast<std::byte*>(blocks_.back());
  end_ = at_ + std::max(chunk_size_, bytes);
  chunk_size_ = std::min(chunk_size_ * 2, kLargestChunk);
  void* memory = at_;
  at_ += bytes;
  return memory;
}

void Arena::grow(void*& data, std::size_t& capacity, std::size_t used, std::size_t more) {
  const std::size_t needed = used + more;
  if (needed <= capacity) return;
  // Most containers have only one group of items.
  const std::size_t wanted = used == 0 ? needed : std::max(needed, used * 2);
  if (wanted < kLarge) {
    void* memory = allocate(wanted);
    if (used > 0) std::memcpy(memory, data, used);
    data = memory;
    capacity = wanted;
    return;
  }
  std::size_t index = blocks_.size();
  void* old = nullptr;
  if (capacity >= kLarge) {
    old = static_cast<std::byte*>(data) - kHeader;
    std::memcpy(&index, old, sizeof index);
  } else {
    blocks_.push_back(nullptr);
  }
  void* block = resized(old, wanted + kHeader);
  blocks_[index] = block;
  std::memcpy(block, &index, sizeof index);
  void* memory = static_cast<std::byte*>(block) + kHeader;
  if (old == nullptr && used > 0) std::memcpy(memory, data, used);
  data = memory;
  capacity = wanted;
}

std::string_view Arena::keep(std::string_view text) {
  if (text.empty()) return {};
  auto* copy = static_cast<char*>(allocate(text.size()));
  std::memcpy(copy, text.data(), text.size());
  return {copy, text.size()};
}

namespace {

bool all_of_kind(std::span<const Value> values, Kind kind) {
  return std::all_of(values.begin(), values.end(), [&](const Value& v) { return v.kind() == kind; });
}

}  // namespace

void Arena::append(ListNode& list, std::span<const Value> values) {
  using Packing = ListNode::Packing;
  if (values.empty()) return;
  const bool empty = list.size == 0;
  if (empty) {  // no values to keep
    list.capacity = 0;
    list.packing = all_of_kind(values, Kind::integer) ? Packing::integers
                   : all_of_kind(values, Kind::real)  ? Packing::reals
                                                      : Packing::values;
  }
  if (list.packing == Packing::integers && (empty || all_of_kind(values, Kind::integer))) {
    auto* at = extend<std::int64_t>(list, values.size());
    for (const Value& value : values) *at++ = value.integer();
    return;
  }
  if (list.packing == Packing::reals && (empty || all_of_kind(values, Kind::real))) {
    auto* at = extend<double>(list, values.size());
    for (const Value& value : values) *at++ = value.real();
    return;
  }
  if (list.packing != Packing::values) {  // unpack the existing values
    const ListNode packed = list;
    list = ListNode();
    Value* at = extend<Value>(list, packed.size);
    const auto integers = packed.integers();
    const auto reals = packed.reals();
    at = std::transform(integers.begin(), integers.end(), at, [](std::int64_t i) { return ValueBuilder::integer(i); });
    std::transform(reals.begin(), reals.end(), at, [](double d) { return ValueBuilder::real(d); });
  }
  std::copy(values.begin(), values.end(), extend<Value>(list, values.size()));
}

void Arena::append(DictNode& dict, std::span<const Value> keys_and_values) {
  if (keys_and_values.empty()) return;
  constexpr std::size_t kItem = 2 * sizeof(Value);
  const std::size_t count = keys_and_values.size() / 2;
  grow(dict.data, dict.capacity, dict.size * kItem, count * kItem);
  std::copy_n(keys_and_values.begin(), 2 * count, static_cast<Value*>(dict.data) + 2 * dict.size);
  dict.size += count;
}

}  // namespace metaflow::detail
