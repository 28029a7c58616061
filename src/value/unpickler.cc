#include "value/unpickler.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>
#include <vector>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "value/expansion.h"
#include "value/nodes.h"
#include "value/opcodes.h"
#include "value/python_classes.h"

namespace metaflow::value {

using detail::Arena;
using detail::Expansion;
using detail::ListNode;
using detail::ValueBuilder;

namespace {

/// The stack machine. See Lib/pickletools.py of CPython for the opcodes.
class Unpickler {
 public:
  Unpickler(const base::SharedBytes& payload, std::size_t begin, std::size_t end)
      : limit_(expansion_limit(end - begin)),
        arena_(std::make_shared<Arena>()),
        classes_(*arena_, limit_),
        input_(payload.bytes().first(end)),
        at_(begin) {
    arena_->source = payload;
  }

  Document whole() {
    if (!run()) fail("it is truncated");
    if (at_ != input_.size()) fail("there are bytes after its end");
    if (stack_.size() != 1 || !marks_.empty()) fail("values are left on its stack at the end");
    return finish(stack_.back());
  }

  Document item() {
    if (run()) fail("an item ends the pickle");
    if (!marks_.empty() || stack_.empty()) fail("an item is incomplete");
    if (stack_.size() == 1) return finish(stack_.back());
    return finish(list_from(0, Kind::tuple));
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw Error(ErrorCode::invalid_value,
                fmt::format("Cannot read a pickled value: {} (at byte {} of {})", what, at_, input_.size()));
  }

  Document finish(const Value& root) {
    if (shares_containers_ || shared_leaves_ > limit_ || classes_.has_empty_arrays()) measure_expansion(root, limit_);
    return Document(root, std::static_pointer_cast<const void>(arena_));
  }

  // --- input

  std::span<const std::byte> take(std::uint64_t size) {
    if (size > input_.size() - at_) fail("it is truncated");
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
    if (end == std::string_view::npos) fail("a line is truncated");
    at_ += end + 1;
    return rest.substr(0, end);
  }

  // --- stack

  void push(const Value& value) { stack_.push_back(value); }
  /// Texts are not validated: Python writes lone surrogates, too ("surrogatepass"). Invalid UTF-8 is escaped in output
  /// and rejected by conversions.
  void push_text(std::uint64_t size) { push(ValueBuilder::text(base::as_text(take(size)))); }
  void push_bytes(std::uint64_t size) { push(ValueBuilder::bytes(take(size))); }
  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  void need(std::size_t count) const {
    if (stack_.size() < floor() + count) fail("its stack is empty");
  }
  Value pop() {
    need(1);
    const Value value = stack_.back();
    stack_.pop_back();
    return value;
  }
  const Value& top() const {
    need(1);
    return stack_.back();
  }
  std::size_t pop_mark() {
    if (marks_.empty()) fail("its stack has no mark");
    const std::size_t mark = marks_.back();
    marks_.pop_back();
    return mark;
  }

  /// The values on the stack from `begin` on.
  std::span<const Value> above(std::size_t begin) const { return std::span(stack_).subspan(begin); }
  /// The container below these values, which receives them.
  const Value& below(std::size_t begin, Kind kind, std::string_view otherwise) const {
    if (begin <= floor()) fail("its stack is empty");
    if (stack_[begin - 1].kind() != kind) fail(otherwise);
    return stack_[begin - 1];
  }

  Value list_from(std::size_t begin, Kind kind) {
    ListNode& node = arena_->list();
    arena_->append(node, above(begin));
    stack_.resize(begin);
    return ValueBuilder::list(kind, &node);
  }
  void push_tuple_of(std::size_t size) {
    need(size);
    push(list_from(stack_.size() - size, Kind::tuple));
  }

  void append_from(std::size_t begin, Kind kind) {
    const Value& container = below(begin, kind,
                                   kind == Kind::set ? "it adds items to an object that is not a set"
                                                     : "it appends to an object that is not a list");
    arena_->append(*ValueBuilder::list_of(container), above(begin));
    stack_.resize(begin);
  }

  void set_items_from(std::size_t begin) {
    const Value& container = below(begin, Kind::dict, "it sets items of an object that is not a dict");
    if ((stack_.size() - begin) % 2 != 0) fail("a dict has a key without a value");
    arena_->append(*ValueBuilder::dict_of(container), above(begin));
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
    if (index < memo_.size()) return push_again(memo_[index]);
    const auto found = sparse_memo_.find(index);
    if (found == sparse_memo_.end()) fail("it refers to an object that does not exist");
    push_again(found->second);
  }
  /// Pushes a value that is already part of the document.
  void push_again(const Value& value) {
    switch (value.kind()) {
      case Kind::list:
      case Kind::tuple:
      case Kind::set:
      case Kind::dict:
      case Kind::array:
      case Kind::object: shares_containers_ = true; break;
      default: shared_leaves_ += expansion_of_leaf(value);
    }
    push(value);
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

  void push_real() { push(ValueBuilder::real(std::bit_cast<double>(__builtin_bswap64(take_little<std::uint64_t>())))); }

  void push_list(Kind kind) { push(ValueBuilder::list(kind, &arena_->list())); }

  /// Called after a MARK: if only floats, or only small integers, follow up to an APPENDS, reads them directly into the
  /// list below. Long lists of numbers have this form.
  bool take_numbers() {
    using namespace opcode;
    if (stack_.size() <= floor() || stack_.back().kind() != Kind::list) return false;
    ListNode& list = *ValueBuilder::list_of(stack_.back());
    const auto* bytes = reinterpret_cast<const char*>(input_.data());
    const std::size_t end = input_.size();
    std::size_t at = at_;
    if (at < end && bytes[at] == kBinFloat) {
      if (list.size > 0 && list.packing != ListNode::Packing::reals) return false;
      while (end - at >= 9 && bytes[at] == kBinFloat) at += 9;
      if (at >= end || bytes[at] != kAppends) return false;
      list.packing = ListNode::Packing::reals;
      double* to = arena_->extend<double>(list, (at - at_) / 9);
      for (std::size_t i = at_; i < at; i += 9) {
        std::uint64_t bits = 0;
        std::memcpy(&bits, bytes + i + 1, 8);
        *to++ = std::bit_cast<double>(__builtin_bswap64(bits));
      }
    } else {
      if (list.size > 0 && list.packing != ListNode::Packing::integers) return false;
      numbers_.clear();
      for (; end - at >= 5;) {
        const char code = bytes[at];
        if (code == kBinInt1) {
          numbers_.push_back(static_cast<std::uint8_t>(bytes[at + 1]));
          at += 2;
        } else if (code == kBinInt2) {
          std::uint16_t number = 0;
          std::memcpy(&number, bytes + at + 1, sizeof number);
          numbers_.push_back(number);
          at += 3;
        } else if (code == kBinInt) {
          std::int32_t number = 0;
          std::memcpy(&number, bytes + at + 1, sizeof number);
          numbers_.push_back(number);
          at += 5;
        } else {
          break;
        }
      }
      if (at >= end || bytes[at] != kAppends || numbers_.empty()) return false;
      list.packing = ListNode::Packing::integers;
      std::copy(numbers_.begin(), numbers_.end(), arena_->extend<std::int64_t>(list, numbers_.size()));
    }
    at_ = at + 1;
    return true;
  }

  void call() {
    const Value arguments = pop();
    const Value callable = pop();
    push(classes_.call(callable, arguments));
  }

  /// Runs until the end of the pickle (true) or of the input (false).
  bool run() {
    using namespace opcode;
    while (at_ < input_.size()) {
      switch (static_cast<char>(input_[at_++])) {
        case kProto:
          if (const auto protocol = take_little<std::uint8_t>(); protocol > 5)
            fail(fmt::format("its protocol {} is newer than 5", protocol));
          break;
        case kFrame: take(8); break;
        case kStop: return true;
        case kMark:
          if (!take_numbers()) marks_.push_back(stack_.size());
          break;
        case kPop:  // with a mark on top it removes the mark
          if (stack_.size() == floor() && !marks_.empty()) {
            marks_.pop_back();
          } else {
            pop();
          }
          break;
        case kPopMark: stack_.resize(pop_mark()); break;
        case kDup: push_again(Value(top())); break;
        case kNone: push(Value()); break;
        case kTrue: push(ValueBuilder::boolean(true)); break;
        case kFalse: push(ValueBuilder::boolean(false)); break;
        case kBinInt: push(ValueBuilder::integer(take_little<std::int32_t>())); break;
        case kBinInt1: push(ValueBuilder::integer(take_little<std::uint8_t>())); break;
        case kBinInt2: push(ValueBuilder::integer(take_little<std::uint16_t>())); break;
        case kLong1: push_long(take(take_little<std::uint8_t>())); break;
        case kLong4: {
          const auto size = take_little<std::int32_t>();
          if (size < 0) fail("an int has a negative size");
          push_long(take(static_cast<std::uint64_t>(size)));
          break;
        }
        case kBinFloat: push_real(); break;
        case kShortBinUnicode: push_text(take_little<std::uint8_t>()); break;
        case kBinUnicode: push_text(take_little<std::uint32_t>()); break;
        case kBinUnicode8: push_text(take_little<std::uint64_t>()); break;
        case kShortBinString:  // bytes from Python 2
        case kShortBinBytes: push_bytes(take_little<std::uint8_t>()); break;
        case kBinString:
        case kBinBytes: push_bytes(take_little<std::uint32_t>()); break;
        case kByteArray8:
        case kBinBytes8: push_bytes(take_little<std::uint64_t>()); break;
        case kEmptyList: push_list(Kind::list); break;
        case kEmptySet: push_list(Kind::set); break;
        case kEmptyTuple: push_list(Kind::tuple); break;
        case kEmptyDict: push(ValueBuilder::dict(&arena_->dict())); break;
        case kAppend:
          need(1);
          append_from(stack_.size() - 1, Kind::list);
          break;
        case kAppends: append_from(pop_mark(), Kind::list); break;
        case kAddItems: append_from(pop_mark(), Kind::set); break;
        case kSetItem:
          need(2);
          set_items_from(stack_.size() - 2);
          break;
        case kSetItems: set_items_from(pop_mark()); break;
        case kTuple: push(list_from(pop_mark(), Kind::tuple)); break;
        case kTuple1: push_tuple_of(1); break;
        case kTuple2: push_tuple_of(2); break;
        case kTuple3: push_tuple_of(3); break;
        case kFrozenSet: push(list_from(pop_mark(), Kind::set)); break;
        case kList: push(list_from(pop_mark(), Kind::list)); break;
        case kGlobal: {
          const std::string_view module = take_line();
          push(classes_.global(module, take_line()));
          break;
        }
        case kStackGlobal: {
          const Value name = pop();
          const Value module = pop();
          if (name.kind() != Kind::text || module.kind() != Kind::text) fail("the name of a class is not a text");
          push(classes_.global(module.text(), name.text()));
          break;
        }
        case kReduce:
        case kNewObj: call(); break;
        case kNewObjEx: {
          const Value keywords = pop();
          if (keywords.kind() != Kind::dict || keywords.size() != 0) fail("it makes an object with keyword arguments");
          call();
          break;
        }
        case kBuild: {
          const Value state = pop();
          const Value object = pop();
          push(classes_.build(object, state));
          break;
        }
        case kBinPut: memoize(take_little<std::uint8_t>()); break;
        case kLongBinPut: memoize(take_little<std::uint32_t>()); break;
        case kMemoize: memoize(memo_.size()); break;
        case kBinGet: recall(take_little<std::uint8_t>()); break;
        case kLongBinGet: recall(take_little<std::uint32_t>()); break;
        default: --at_; fail(fmt::format("opcode 0x{:02x} is not supported", std::to_integer<unsigned>(input_[at_])));
      }
    }
    return false;
  }

  Expansion limit_;
  std::shared_ptr<Arena> arena_;
  PythonClasses classes_;
  std::span<const std::byte> input_;
  std::size_t at_;
  std::vector<Value> stack_;
  std::vector<std::size_t> marks_;
  std::vector<Value> memo_;
  std::unordered_map<std::uint64_t, Value> sparse_memo_;
  bool shares_containers_ = false;
  Expansion shared_leaves_ = 0;
  std::vector<std::int64_t> numbers_;
};

}  // namespace

Document read_pickle(const base::SharedBytes& payload) { return Unpickler(payload, 0, payload.size()).whole(); }

Document read_back(const detail::Pickler& pickler) {
  std::string payload;
  payload.reserve(pickler.size());
  for (const auto& part : pickler.parts()) payload += base::as_text(part);
  return read_pickle(base::SharedBytes(std::move(payload)));
}

Document read_item(const base::SharedBytes& payload, std::size_t begin, std::size_t end) {
  if (begin >= end || end > payload.size())
    throw Error(ErrorCode::invalid_value, "Cannot read a pickled value: an item is out of range");
  return Unpickler(payload, begin, end).item();
}

}  // namespace metaflow::value
