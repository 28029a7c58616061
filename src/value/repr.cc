// Values as Python would print them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <metaflow/value.h>

#include "base/text.h"
#include "value/calendar.h"

namespace metaflow {

namespace {

constexpr int kMaxDepth = 50;          // deeper (or cyclic) values end in "..."
constexpr std::size_t kEdgeItems = 3;  // of an array of more than kArrayItems elements, as numpy does
constexpr std::size_t kArrayItems = 1000;

/// Decimal digits of little-endian two's complement.
std::string big_decimal(std::span<const std::byte> magnitude) {
  if (magnitude.size() > 4096) return fmt::format("<int of {} bytes>", magnitude.size());
  std::vector<std::uint32_t> digits;  // base 2^8, most significant first
  const bool negative = (magnitude.back() & std::byte{0x80}) != std::byte{0};
  unsigned carry = 1;
  for (std::byte b : magnitude) {
    unsigned byte = std::to_integer<unsigned>(b);
    if (negative) {
      byte = (~byte & 0xFFU) + carry;
      carry = byte >> 8;
      byte &= 0xFFU;
    }
    digits.insert(digits.begin(), byte);
  }
  std::string text;
  while (!digits.empty()) {
    std::uint32_t remainder = 0;
    for (std::uint32_t& digit : digits) {
      const std::uint32_t value = remainder << 8 | digit;
      digit = value / 10;
      remainder = value % 10;
    }
    text += static_cast<char>('0' + remainder);
    while (!digits.empty() && digits.front() == 0) digits.erase(digits.begin());
  }
  if (negative) text += '-';
  std::reverse(text.begin(), text.end());
  return text;
}

class Printer {
 public:
  explicit Printer(std::size_t limit) : limit_(limit) {}

  std::string run(const Value& value) {
    print(value, 0);
    if (out_.size() > limit_) {
      // Not in the middle of a character.
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
    const char mark =
        text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos ? '"' : '\'';
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
      } else {
        out_ += static_cast<char>(c);
      }
    }
    out_ += mark;
  }

  void array(const Value& value) {
    const ArrayView view = value.array();
    std::size_t count = 1;
    for (std::size_t size : view.shape) count *= size;
    out_ += "array(";
    if (view.shape.empty()) {
      out_ += "...";
    } else {
      elements(value, count > kArrayItems);
    }
    if (view.shape.size() > 1 || count > kArrayItems) {
      out_ += ", shape=(";
      for (std::size_t i = 0; i < view.shape.size(); ++i) {
        if (i > 0) out_ += ", ";
        out_ += std::to_string(view.shape[i]);
      }
      out_ += view.shape.size() == 1 ? ",)" : ")";
    }
    // numpy says the type unless it is the default for these elements.
    if (!((view.type == 'f' && view.item_size == 8) || (view.type == 'i' && view.item_size == 8) || view.type == 'b')) {
      constexpr std::string_view kLetters = "biufcSUMm";
      constexpr std::string_view kNames[] = {"bool", "int", "uint",     "float",    "complex",
                                             "S",    "U",   "datetime", "timedelta"};
      const std::string_view name = kNames[std::min(kLetters.find(view.type), std::size(kNames) - 1)];
      out_ += fmt::format(", dtype={}{}", name,
                          view.type == 'S'   ? view.item_size
                          : view.type == 'U' ? view.item_size / 4
                                             : view.item_size * 8);
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
      out_ += fmt::format("({}{}{})", part(real), imaginary.starts_with('-') || imaginary.starts_with("nan") ? "" : "+",
                          imaginary);
      if (imaginary.starts_with("nan")) out_.insert(out_.size() - imaginary.size() - 1, "+");
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
    std::int64_t days = value.microseconds() / kDay;
    std::int64_t rest = value.microseconds() % kDay;
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
    const std::string_view name = value.class_name();
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
    case Kind::object: return fmt::format("<class '{}'>", value.class_name());
  }
  return "<class 'object'>";
}

}  // namespace metaflow
