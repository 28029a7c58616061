#include "value/unpickler.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <limits>
#include <unordered_map>
#include <vector>

#include <metaflow/error.h>

#include "base/text.h"
#include "value/nodes.h"
#include "value/python_classes.h"

namespace metaflow::value {

using detail::Arena;
using detail::ArrayNode;
using detail::DictNode;
using detail::ListNode;
using detail::ObjectNode;
using detail::ValueBuilder;

namespace {

/// The stack machine. See Lib/pickletools.py of CPython for the opcodes.
class Unpickler {
 public:
  Unpickler(const base::SharedBytes& payload, std::size_t begin, std::size_t end)
      : arena_(std::make_shared<Arena>()), classes_(*arena_), input_(payload.bytes().first(end)), at_(begin) {
    arena_->source = payload;
  }

  Document whole() {
    while (step()) {
    }
    if (at_ != input_.size()) fail("there are bytes after its end");
    if (stack_.size() != 1 || !marks_.empty()) fail("it ends with something left over");
    return finish(stack_.back());
  }

  Document item() {
    while (at_ < input_.size()) {
      if (!step()) fail("an item ends the pickle");
    }
    if (!marks_.empty() || stack_.empty()) fail("an item is incomplete");
    if (stack_.size() == 1) return finish(stack_.back());
    return finish(tuple(0));
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw Error(ErrorCode::invalid_value,
                fmt::format("Cannot read a pickled value: {} (at byte {} of {})", what, at_, input_.size()));
  }

  Document finish(const Value& root) { return Document(root, std::static_pointer_cast<const void>(arena_)); }

  // --- input

  std::span<const std::byte> take(std::uint64_t size) {
    if (size > input_.size() - at_) fail("it is cut off");
    const auto bytes = input_.subspan(at_, size);
    at_ += size;
    return bytes;
  }
  template <class T>
  T take_little() {
    T value{};
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    static_assert(std::endian::native == std::endian::little, "metaflow is for little-endian machines");
    return value;
  }
  std::string_view take_line() {
    const auto rest = base::as_text(input_.subspan(at_));
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) fail("a line is cut off");
    at_ += end + 1;
    return rest.substr(0, end);
  }
  std::string_view take_text(std::uint64_t size) {
    const auto text = base::as_text(take(size));
    // Python writes lone surrogates with "surrogatepass"; what is not UTF-8 is replaced when shown, and refused when
    // converted.
    return text;
  }

  // --- stack

  void push(const Value& value) { stack_.push_back(value); }
  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  Value pop() {
    if (stack_.size() <= floor()) fail("its stack is empty");
    const Value value = stack_.back();
    stack_.pop_back();
    return value;
  }
  const Value& top() const {
    if (stack_.size() <= floor()) fail("its stack is empty");
    return stack_.back();
  }
  std::size_t pop_mark() {
    if (marks_.empty()) fail("it has no mark");
    const std::size_t mark = marks_.back();
    marks_.pop_back();
    return mark;
  }

  Value tuple(std::size_t begin) {
    ListNode& node = arena_->lists.emplace_back();
    node.values.assign(stack_.begin() + static_cast<std::ptrdiff_t>(begin), stack_.end());
    stack_.resize(begin);
    return ValueBuilder::list(Kind::tuple, &node);
  }
  void push_tuple_of(std::size_t size) {
    if (stack_.size() < floor() + size) fail("its stack is empty");
    push(tuple(stack_.size() - size));
  }

  void append_from(std::size_t begin, Kind kind) {
    if (begin == 0 || begin <= floor()) fail("its stack is empty");
    const Value& container = stack_[begin - 1];
    if (container.kind() != kind)
      fail(kind == Kind::set ? "it adds to something that is no set" : "it appends to something that is no list");
    ValueBuilder::list_of(container)->append(stack_.data() + begin, stack_.data() + stack_.size());
    stack_.resize(begin);
  }

  void set_items_from(std::size_t begin) {
    if (begin == 0 || begin <= floor()) fail("its stack is empty");
    if ((stack_.size() - begin) % 2 != 0) fail("a dict has a key without a value");
    const Value& container = stack_[begin - 1];
    if (container.kind() != Kind::dict) fail("it sets items of something that is no dict");
    DictNode* dict = ValueBuilder::dict_of(container);
    for (std::size_t i = begin; i < stack_.size(); i += 2) {
      dict->keys.push_back(stack_[i]);
      dict->values.push_back(stack_[i + 1]);
    }
    stack_.resize(begin);
  }

  // --- memo

  void memoize(std::uint64_t index) {
    if (index == memo_.size()) {
      memo_.push_back(top());
    } else if (index < memo_.size()) {
      memo_[index] = top();
    } else {
      sparse_memo_[index] = top();
    }
  }
  void recall(std::uint64_t index) {
    if (index < memo_.size()) return push(memo_[index]);
    const auto found = sparse_memo_.find(index);
    if (found == sparse_memo_.end()) fail("it refers to something that was not there before");
    push(found->second);
  }

  // --- opcodes

  void push_long(std::span<const std::byte> bytes) {
    if (bytes.size() <= 8) {
      std::uint64_t bits = 0;
      for (std::size_t i = 0; i < bytes.size(); ++i) bits |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
      const bool negative = !bytes.empty() && (bytes.back() & std::byte{0x80}) != std::byte{0};
      if (negative && bytes.size() < 8) bits |= ~std::uint64_t{0} << (8 * bytes.size());
      return push(ValueBuilder::integer(static_cast<std::int64_t>(bits)));
    }
    if (bytes.size() == 9 && bytes[8] == std::byte{0}) {
      std::uint64_t bits = 0;
      std::memcpy(&bits, bytes.data(), 8);
      return push(ValueBuilder::unsigned_integer(bits));
    }
    push(ValueBuilder::big_integer(bytes));
  }

  void push_real() {
    const auto bytes = take(8);
    std::uint64_t bits = 0;
    for (std::byte b : bytes) bits = bits << 8 | std::to_integer<std::uint64_t>(b);
    push(ValueBuilder::real(std::bit_cast<double>(bits)));
  }

  void push_list(Kind kind) { push(ValueBuilder::list(kind, &arena_->lists.emplace_back())); }

  /// Behind a MARK: if there is nothing but floats, or small integers, up to an APPENDS, takes them straight into the
  /// list that waits for them. This is how long lists of numbers look.
  bool take_numbers() {
    if (stack_.size() <= floor() || stack_.back().kind() != Kind::list) return false;
    ListNode& list = *ValueBuilder::list_of(stack_.back());
    const auto* bytes = reinterpret_cast<const unsigned char*>(input_.data());
    std::size_t at = at_;
    if (at < input_.size() && bytes[at] == 'G') {
      if (list.size() > 0 && list.packing != ListNode::Packing::reals) return false;
      while (at + 9 <= input_.size() && bytes[at] == 'G') at += 9;
      if (at >= input_.size() || bytes[at] != 'e') return false;
      list.packing = ListNode::Packing::reals;
      list.reals.reserve(list.reals.size() + (at - at_) / 9);
      for (std::size_t i = at_; i < at; i += 9) {
        std::uint64_t bits = 0;
        std::memcpy(&bits, bytes + i + 1, 8);
        list.reals.push_back(std::bit_cast<double>(__builtin_bswap64(bits)));
      }
    } else {
      if (list.size() > 0 && list.packing != ListNode::Packing::integers) return false;
      const std::size_t before = list.integers.size();
      while (at + 5 <= input_.size()) {
        if (bytes[at] == 'K') {
          list.integers.push_back(bytes[at + 1]);
          at += 2;
        } else if (bytes[at] == 'M') {
          list.integers.push_back(bytes[at + 1] | bytes[at + 2] << 8);
          at += 3;
        } else if (bytes[at] == 'J') {
          std::int32_t number = 0;
          std::memcpy(&number, bytes + at + 1, 4);
          list.integers.push_back(number);
          at += 5;
        } else {
          break;
        }
      }
      if (at >= input_.size() || bytes[at] != 'e' || list.integers.size() == before) {
        list.integers.resize(before);
        return false;
      }
      list.packing = ListNode::Packing::integers;
    }
    at_ = at + 1;
    return true;
  }

  void frozen_set(std::size_t begin) {
    ListNode& node = arena_->lists.emplace_back();
    node.append(stack_.data() + begin, stack_.data() + stack_.size());
    stack_.resize(begin);
    push(ValueBuilder::list(Kind::set, &node));
  }

  void call() {
    const Value arguments = pop();
    const Value callable = pop();
    push(classes_.call(callable, arguments));
  }

  /// One opcode; false at the end of the pickle.
  bool step() {
    switch (std::to_integer<unsigned char>(take(1)[0])) {
      case 0x80:  // PROTO
        if (const auto protocol = take_little<std::uint8_t>(); protocol > 5)
          fail(fmt::format("its protocol {} is newer than 5", protocol));
        break;
      case 0x95: take(8); break;  // FRAME
      case '.': return false;     // STOP
      case '(':
        if (!take_numbers()) marks_.push_back(stack_.size());
        break;
      case '0':  // POP; on a bare mark it removes that
        if (stack_.size() == floor() && !marks_.empty()) {
          marks_.pop_back();
        } else {
          pop();
        }
        break;
      case '1': stack_.resize(pop_mark()); break;  // POP_MARK
      case '2': push(top()); break;                // DUP
      case 'N': push(Value()); break;
      case 0x88: push(ValueBuilder::boolean(true)); break;
      case 0x89: push(ValueBuilder::boolean(false)); break;
      case 'J': push(ValueBuilder::integer(take_little<std::int32_t>())); break;   // BININT
      case 'K': push(ValueBuilder::integer(take_little<std::uint8_t>())); break;   // BININT1
      case 'M': push(ValueBuilder::integer(take_little<std::uint16_t>())); break;  // BININT2
      case 0x8a: push_long(take(take_little<std::uint8_t>())); break;              // LONG1
      case 0x8b: {                                                                 // LONG4
        const auto size = take_little<std::int32_t>();
        if (size < 0) fail("an int has a negative size");
        push_long(take(static_cast<std::uint64_t>(size)));
        break;
      }
      case 'G': push_real(); break;
      case 0x8c: push(ValueBuilder::text(take_text(take_little<std::uint8_t>()))); break;   // SHORT_BINUNICODE
      case 'X': push(ValueBuilder::text(take_text(take_little<std::uint32_t>()))); break;   // BINUNICODE
      case 0x8d: push(ValueBuilder::text(take_text(take_little<std::uint64_t>()))); break;  // BINUNICODE8
      case 'C': push(ValueBuilder::bytes(take(take_little<std::uint8_t>()))); break;        // SHORT_BINBYTES
      case 'B': push(ValueBuilder::bytes(take(take_little<std::uint32_t>()))); break;       // BINBYTES
      case 0x8e:                                                                            // BINBYTES8
      case 0x96: push(ValueBuilder::bytes(take(take_little<std::uint64_t>()))); break;      // BYTEARRAY8
      case 'U': push(ValueBuilder::bytes(take(take_little<std::uint8_t>()))); break;   // SHORT_BINSTRING of Python 2
      case 'T': push(ValueBuilder::bytes(take(take_little<std::uint32_t>()))); break;  // BINSTRING
      case ']': push_list(Kind::list); break;
      case 0x8f: push_list(Kind::set); break;
      case '}': push(ValueBuilder::dict(&arena_->dicts.emplace_back())); break;
      case ')': push_list(Kind::tuple); break;
      case 'a': append_from(stack_.empty() ? 0 : stack_.size() - 1, Kind::list); break;  // APPEND
      case 'e': append_from(pop_mark(), Kind::list); break;                              // APPENDS
      case 0x90: append_from(pop_mark(), Kind::set); break;                              // ADDITEMS
      case 's': set_items_from(stack_.size() < 2 ? 0 : stack_.size() - 2); break;        // SETITEM
      case 'u': set_items_from(pop_mark()); break;                                       // SETITEMS
      case 't': push(tuple(pop_mark())); break;
      case 0x85: push_tuple_of(1); break;
      case 0x86: push_tuple_of(2); break;
      case 0x87: push_tuple_of(3); break;
      case 0x91: frozen_set(pop_mark()); break;
      case 'l': {  // LIST
        const std::size_t begin = pop_mark();
        ListNode& node = arena_->lists.emplace_back();
        node.append(stack_.data() + begin, stack_.data() + stack_.size());
        stack_.resize(begin);
        push(ValueBuilder::list(Kind::list, &node));
        break;
      }
      case 'c': {  // GLOBAL
        const std::string_view module = take_line();
        push(classes_.global(module, take_line()));
        break;
      }
      case 0x93: {  // STACK_GLOBAL
        const Value name = pop();
        const Value module = pop();
        if (name.kind() != Kind::text || module.kind() != Kind::text) fail("the name of a class is no text");
        push(classes_.global(module.text(), name.text()));
        break;
      }
      case 'R':                  // REDUCE
      case 0x81: call(); break;  // NEWOBJ
      case 0x92: {               // NEWOBJ_EX
        const Value keywords = pop();
        if (keywords.kind() != Kind::dict || keywords.size() != 0) fail("it makes an object with keyword arguments");
        call();
        break;
      }
      case 'b': {  // BUILD
        const Value state = pop();
        const Value object = pop();
        push(classes_.build(object, state));
        break;
      }
      case 'q': memoize(take_little<std::uint8_t>()); break;   // BINPUT
      case 'r': memoize(take_little<std::uint32_t>()); break;  // LONG_BINPUT
      case 0x94: memoize(memo_.size()); break;                 // MEMOIZE
      case 'h': recall(take_little<std::uint8_t>()); break;    // BINGET
      case 'j': recall(take_little<std::uint32_t>()); break;   // LONG_BINGET
      default: --at_; fail(fmt::format("opcode 0x{:02x} is not supported", std::to_integer<unsigned>(input_[at_])));
    }
    return true;
  }

  std::shared_ptr<Arena> arena_;
  PythonClasses classes_;
  std::span<const std::byte> input_;
  std::size_t at_;
  std::vector<Value> stack_;
  std::vector<std::size_t> marks_;
  std::vector<Value> memo_;
  std::unordered_map<std::uint64_t, Value> sparse_memo_;
};

}  // namespace

Document read_pickle(const base::SharedBytes& payload) { return Unpickler(payload, 0, payload.size()).whole(); }

Document read_item(const base::SharedBytes& payload, std::size_t begin, std::size_t end) {
  if (begin >= end || end > payload.size())
    throw Error(ErrorCode::invalid_value, "Cannot read a pickled value: an item is out of range");
  return Unpickler(payload, begin, end).item();
}

}  // namespace metaflow::value
