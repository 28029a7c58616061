// Python's repr() of values.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include <metaflow/value.h>

#include "base/format.h"
#include "base/text.h"
#include "base/utf8.h"
#include "value/calendar.h"
#include "value/nodes.h"

namespace metaflow {

namespace {

constexpr int kMaxDepth = 50;          // deeper (or cyclic) values are printed as "..."
constexpr std::size_t kEdgeItems = 3;  // shown of an array with more than kArrayItems elements, as in numpy
constexpr std::size_t kArrayItems = 1000;
constexpr std::size_t kMaxSharedText =
    64 * 1024;  // limit for a value that contains itself, or parts of it a million times

// About Python's own limit for conversions to decimal digits.
constexpr std::size_t kMaxDigits = 4300;

/// The decimal digits of a little-endian two's complement number.
std::string big_decimal(std::span<const std::byte> magnitude) {
  if (magnitude.size() > kMaxDigits * 5 / 12) return fmt::format("<int of {} bytes>", magnitude.size());
  const bool negative = (magnitude.back() & std::byte{0x80}) != std::byte{0};
  std::vector<std::uint32_t> words((magnitude.size() + 3) / 4, negative ? ~0U : 0U);  // least significant first
  std::memcpy(words.data(), magnitude.data(), magnitude.size());
  if (negative) {
    std::uint64_t carry = 1;
    for (std::uint32_t& word : words) {
      carry += ~word;
      word = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
  }
  auto drop_zeros = [&] {
    while (!words.empty() && words.back() == 0) words.pop_back();
  };
  constexpr std::uint32_t kBillion = 1'000'000'000;
  std::string reversed;
  for (drop_zeros(); !words.empty(); drop_zeros()) {
    std::uint64_t rest = 0;
    for (std::size_t i = words.size(); i-- > 0;) {
      rest = rest << 32 | words[i];
      words[i] = static_cast<std::uint32_t>(rest / kBillion);
      rest %= kBillion;
    }
    for (int digit = 0; digit < 9; ++digit, rest /= 10) reversed += static_cast<char>('0' + rest % 10);
  }
  while (reversed.size() > 1 && reversed.back() == '0') reversed.pop_back();
  if (reversed.empty()) reversed = "0";
  if (negative) reversed += '-';
  return {reversed.rbegin(), reversed.rend()};
}

class Printer {
 public:
  explicit Printer(std::size_t limit) : limit_(limit) {}

  std::string run(const Value& value) {
    if (detail::is_excessive(value)) limit_ = std::min(limit_, kMaxSharedText);
    print(value, 0);
    if (out_.size() > limit_) {
      // Cut between characters.
      std::size_t end = limit_;
      while (end > 0 && (static_cast<unsigned char>(out_[end]) & 0xC0U) == 0x80U) --end;
      out_.resize(end);
      out_ += "...";
    }
    return std::move(out_);
  }

 private:
  bool full() const { return out_.size() > limit_; }

  void print(const Value& value, int depth) {
    if (full()) return;
    if (depth > kMaxDepth) {
      out_ += "...";
      return;
    }
    const bool may_recur = detail::is_excessive(value) && value.kind() != Kind::array;
    if (may_recur) {
      const void* node = detail::expansion_of(value);
      if (std::find(around_.begin(), around_.end(), node) != around_.end()) {
        out_ += value.kind() == Kind::dict ? "{...}" : value.kind() == Kind::list ? "[...]" : "(...)";
        return;
      }
      around_.push_back(node);
    }
    print_value(value, depth);
    if (may_recur) around_.pop_back();
  }

  void print_value(const Value& value, int depth) {
    switch (value.kind()) {
      case Kind::none: out_ += "None"; break;
      case Kind::boolean: out_ += value.boolean() ? "True" : "False"; break;
      case Kind::integer: out_ += std::to_string(value.integer()); break;
      case Kind::big_integer:
        if (const auto u = value.unsigned_integer()) {
          out_ += std::to_string(*u);
        } else {
          out_ += big_decimal(value.magnitude());
        }
        break;
      case Kind::real: out_ += base::python_float(value.real()); break;
      case Kind::text: quote(value.text(), false); break;
      case Kind::bytes:
        out_ += 'b';
        quote(base::as_text(value.bytes()), true);
        break;
      case Kind::list: sequence(value, depth, "[", "]"); break;
      case Kind::tuple: sequence(value, depth, "(", value.size() == 1 ? ",)" : ")"); break;
      case Kind::set:
        if (value.size() == 0) {
          out_ += "set()";
        } else {
          sequence(value, depth, "{", "}");
        }
        break;
      case Kind::dict:
        out_ += '{';
        for (std::size_t i = 0; i < value.size() && !full(); ++i) {
          if (i > 0) out_ += ", ";
          print(value[i], depth + 1);
          out_ += ": ";
          print(value.mapped(i), depth + 1);
        }
        out_ += '}';
        break;
      case Kind::array: array(value); break;
      case Kind::complex: complex(value); break;
      case Kind::datetime: datetime(value); break;
      case Kind::timedelta: timedelta(value); break;
      case Kind::object: object(value, depth); break;
    }
  }

  void sequence(const Value& value, int depth, std::string_view open, std::string_view close) {
    out_ += open;
    for (std::size_t i = 0; i < value.size() && !full(); ++i) {
      if (i > 0) out_ += ", ";
      print(value[i], depth + 1);
    }
    out_ += close;
  }

  void quote(std::string_view text, bool bytes) {
    text = text.substr(0, std::max(limit_, out_.size()) - out_.size() + std::size_t{limit_ < SIZE_MAX / 2 ? 8U : 0U});
    const char mark =
        text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos ? '"' : '\'';
    // Python's escape for a character that it cannot encode: a lone surrogate (three bytes that are almost UTF-8), or
    // any byte.
    std::size_t bad = bytes ? std::string_view::npos : base::find_invalid_utf8(text);
    out_ += mark;
    for (std::size_t i = 0; i < text.size() && !full(); ++i) {
      const auto c = static_cast<unsigned char>(text[i]);
      if (c == '\\' || c == static_cast<unsigned char>(mark)) {
        out_ += {'\\', static_cast<char>(c)};
      } else if (c == '\n') {
        out_ += "\\n";
      } else if (c == '\r') {
        out_ += "\\r";
      } else if (c == '\t') {
        out_ += "\\t";
      } else if (c < 0x20 || c == 0x7F || (bytes && c >= 0x80)) {
        out_ += fmt::format("\\x{:02x}", c);
      } else if (i == bad) {
        if (c == 0xED && text.size() - i >= 3) {
          out_ += fmt::format("\\u{:04x}", 0xD000U | (static_cast<unsigned>(text[i + 1]) & 63U) << 6 |
                                               (static_cast<unsigned>(text[i + 2]) & 63U));
          i += 2;
        } else {
          out_ += fmt::format("\\x{:02x}", c);
        }
        const std::size_t next = base::find_invalid_utf8(text.substr(i + 1));
        bad = next == std::string_view::npos ? next : i + 1 + next;
      } else {
        out_ += static_cast<char>(c);
      }
    }
    out_ += mark;
  }

  void array(const Value& value) {
    const auto shape = value.shape();
    const ArrayView& whole = detail::ValueBuilder::array_of(value)->view;
    const bool none = std::find(shape.begin(), shape.end(), 0) != shape.end();
    std::size_t count = 1;
    for (std::size_t size : shape) count = none ? 0 : count * size;
    out_ += "array(";
    if (shape.empty()) {
      print(detail::scalar_of(value), 0);
    } else if (none) {
      out_ += "[]";
    } else {
      elements(value, count > kArrayItems);
    }
    if (shape.size() > 1 || count > kArrayItems) {
      out_ += ", shape=(";
      for (std::size_t i = 0; i < shape.size(); ++i) out_ += fmt::format("{}{}", i > 0 ? ", " : "", shape[i]);
      out_ += shape.size() == 1 ? ",)" : ")";
    }
    // numpy prints the type unless it is the default for these elements.
    const bool by_default = whole.item_size == 8 ? whole.type == 'f' || whole.type == 'i' : whole.type == 'b';
    if (!by_default) {
      constexpr std::string_view kLetters = "biufcSUMm";
      constexpr std::string_view kNames[] = {"bool", "int", "uint",       "float",      "complex",
                                             "S",    "U",   "datetime64", "timedelta64"};
      const std::string_view name = kNames[std::min(kLetters.find(whole.type), std::size(kNames) - 1)];
      out_ += fmt::format(", dtype={}", name);
      switch (whole.type) {
        case 'S': out_ += std::to_string(whole.item_size); break;
        case 'U': out_ += std::to_string(whole.item_size / 4); break;
        case 'M':
        case 'm': out_ += whole.unit; break;
        default: out_ += std::to_string(whole.item_size * 8);
      }
    }
    out_ += ')';
  }

  void elements(const Value& value, bool cut) {
    out_ += '[';
    const std::size_t size = value.size();
    for (std::size_t i = 0; i < size && !full(); ++i) {
      if (i > 0) out_ += ", ";
      if (cut && size > 2 * kEdgeItems && i == kEdgeItems) {
        out_ += "..., ";
        i = size - kEdgeItems;
      }
      const Value item = value[i];
      if (item.kind() == Kind::array) {
        elements(item, cut);
      } else {
        print(item, 0);
      }
    }
    out_ += ']';
  }

  void complex(const Value& value) {
    auto part = [](double d) {
      std::string text = base::python_float(d);
      if (text.ends_with(".0")) text.resize(text.size() - 2);
      return text;
    };
    const double real = value.real();
    const std::string imaginary = part(value.imaginary()) + "j";
    if (real == 0 && !std::signbit(real)) {
      out_ += imaginary;
    } else {
      out_ += fmt::format("({}{}{})", part(real), imaginary.starts_with('-') ? "" : "+", imaginary);
    }
  }

  void datetime(const Value& value) {
    const auto t = value::date_time_of(value.microseconds());
    out_ += fmt::format("datetime.datetime({}, {}, {}, {}, {}", t.year, t.month, t.day, t.hour, t.minute);
    if (t.second != 0 || t.microsecond != 0) out_ += fmt::format(", {}", t.second);
    if (t.microsecond != 0) out_ += fmt::format(", {}", t.microsecond);
    out_ += ", tzinfo=datetime.timezone.utc)";
  }

  void timedelta(const Value& value) {
    constexpr std::int64_t kDay = 86'400'000'000;
    // Python rounds to microseconds, a half to the even one.
    const std::int64_t below = value.nanoseconds_below();
    const bool up = below > 500 || (below == 500 && value.microseconds() % 2 != 0);
    const std::int64_t microseconds = value.microseconds() + (up && value.microseconds() < INT64_MAX ? 1 : 0);
    std::int64_t days = microseconds / kDay;
    std::int64_t rest = microseconds % kDay;
    if (rest < 0) {
      rest += kDay;
      --days;
    }
    std::string parts;
    auto add = [&](const char* name, std::int64_t amount) {
      if (amount != 0) parts += fmt::format("{}{}={}", parts.empty() ? "" : ", ", name, amount);
    };
    add("days", days);
    add("seconds", rest / 1'000'000);
    add("microseconds", rest % 1'000'000);
    out_ += fmt::format("datetime.timedelta({})", parts.empty() ? "0" : parts);
  }

  void object(const Value& value, int depth) {
    std::string_view name = value.class_name();
    if (detail::is_class(value)) {
      for (std::string_view module : {"builtins.", "__builtin__."}) {
        if (name.starts_with(module)) name.remove_prefix(module.size());
      }
      out_ += fmt::format("<class '{}'>", name);
      return;
    }
    out_ += name.substr(name.rfind('.') + 1);
    out_ += '(';
    for (std::size_t i = 0; i < value.size() && !full(); ++i) {
      if (i > 0) out_ += ", ";
      print(value[i], depth + 1);
    }
    if (!value.state().is_none()) {
      if (value.size() > 0) out_ += ", ";
      print(value.state(), depth + 1);
    }
    out_ += ')';
  }

  std::string out_;
  std::size_t limit_;
  std::vector<const void*> around_;  // the containers being printed, if the value may be cyclic
};

}  // namespace

std::string repr(const Value& value, std::size_t limit) { return Printer(limit).run(value); }

std::string text_of(const Value& value, std::size_t limit) {
  if (value.kind() == Kind::text) {
    std::string text = base::replace_invalid_utf8(value.text().substr(0, limit));
    if (value.text().size() > limit) text += "...";
    return text;
  }
  return repr(value, limit);
}

std::string python_type(const Value& value) {
  switch (value.kind()) {
    case Kind::none: return "<class 'NoneType'>";
    case Kind::boolean: return "<class 'bool'>";
    case Kind::integer:
    case Kind::big_integer: return "<class 'int'>";
    case Kind::real: return "<class 'float'>";
    case Kind::text: return "<class 'str'>";
    case Kind::bytes: return "<class 'bytes'>";
    case Kind::list: return "<class 'list'>";
    case Kind::tuple: return "<class 'tuple'>";
    case Kind::set: return "<class 'set'>";
    case Kind::dict: return "<class 'dict'>";
    case Kind::array: return "<class 'numpy.ndarray'>";
    case Kind::complex: return "<class 'complex'>";
    case Kind::datetime: return "<class 'datetime.datetime'>";
    case Kind::timedelta: return "<class 'datetime.timedelta'>";
    case Kind::object:
      return detail::is_class(value) ? "<class 'type'>" : fmt::format("<class '{}'>", value.class_name());
  }
  return "<class 'object'>";
}

}  // namespace metaflow
