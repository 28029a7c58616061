// What text from elsewhere may put on a terminal; UTF-8, which that needs.
#include <cstdint>

#include "base/format.h"
#include "base/text.h"

namespace metaflow::base {

namespace {

/// The length of the well-formed sequence at `at`, 0 if there is none.
std::size_t utf8_length(std::string_view text, std::size_t at) {
  auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  auto continues = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned first = byte(at);
  if (first < 0x80) return 1;
  if (first < 0xC2) return 0;
  if (first < 0xE0) return continues(at + 1) ? 2 : 0;
  const unsigned second = byte(at + 1);
  if (first < 0xF0) {
    if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F)) return 0;
    return continues(at + 1) && continues(at + 2) ? 3 : 0;
  }
  if (first > 0xF4 || (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) return 0;
  return continues(at + 1) && continues(at + 2) && continues(at + 3) ? 4 : 0;
}

}  // namespace

std::size_t find_invalid_utf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      ++at;
      continue;
    }
    const std::size_t length = utf8_length(text, at);
    if (length == 0) return at;
    at += length;
  }
  return std::string_view::npos;
}

std::string replace_invalid_utf8(std::string_view text) {
  if (find_invalid_utf8(text) == std::string_view::npos) return std::string(text);
  std::string result;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t length = utf8_length(text, at);
    if (length == 0) {
      result += "\xEF\xBF\xBD";
      ++at;
    } else {
      result += text.substr(at, length);
      at += length;
    }
  }
  return result;
}

namespace {

/// What passes besides text that a terminal only shows.
enum class Passes : std::uint8_t {
  nothing,
  lines,  // newlines and tabs
  output  // tabs, colours, and characters that join or separate others, which some languages need
};

/// Of a code point beyond ASCII: obeyed, not shown, or shown in another order.
bool is_invisible(std::uint32_t c, Passes passes) {
  if (c < 0xA0 || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069)) return true;
  if (passes == Passes::output) return false;
  return c == 0x061C || (c >= 0x200B && c <= 0x200F) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF;
}

constexpr std::size_t kLongestColour = 64;  // bytes

/// The length of the sequence at `at` that chooses a colour ("\x1b[1;31m"); 0 if there is none.
std::size_t colour_length(std::string_view text, std::size_t at) {
  if (text.substr(at, 2) != "\x1b[") return 0;
  const std::size_t end = text.find_first_not_of("0123456789;:", at + 2);
  if (end == std::string_view::npos || text[end] != 'm' || end - at >= kLongestColour) return 0;
  return end + 1 - at;
}

std::uint32_t code_point(std::string_view sequence) {
  std::uint32_t code = static_cast<unsigned char>(sequence[0]) & (0x7FU >> sequence.size());
  for (const char c : sequence.substr(1)) code = code << 6U | (static_cast<unsigned char>(c) & 0x3FU);
  return code;
}

std::string escape(unsigned char byte) {
  switch (byte) {
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    case 0x7F: return "\\u007f";  // which JSON allows, too
    default: return fmt::format("\\x{:02x}", byte);
  }
}

std::string shown(std::string_view text, Passes passes) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto first = static_cast<unsigned char>(text[at]);
    if (first >= 0x20 && first < 0x7F) {
      result += text[at++];
      continue;
    }
    std::size_t length = utf8_length(text, at);
    if (length > 1) {
      const std::string_view sequence = text.substr(at, length);
      const std::uint32_t code = code_point(sequence);
      if (is_invisible(code, passes)) {
        result += fmt::format("\\u{:04x}", code);
      } else {
        result += sequence;
      }
      at += length;
      continue;
    }
    length = passes == Passes::output ? colour_length(text, at) : 0;
    if (length > 0) {
      result += text.substr(at, length);
      at += length;
      continue;
    }
    const bool passes_by = (first == '\t' && passes != Passes::nothing) || (first == '\n' && passes == Passes::lines);
    result += passes_by ? std::string(1, text[at]) : escape(first);
    ++at;
  }
  return result;
}

}  // namespace

std::string visible(std::string_view text) { return shown(text, Passes::nothing); }

std::string visible_lines(std::string_view text) { return shown(text, Passes::lines); }

std::string visible_output(std::string_view line) {
  while (line.ends_with('\r')) line.remove_suffix(1);
  return shown(line.substr(line.rfind('\r') + 1), Passes::output);  // npos + 1 is 0
}

}  // namespace metaflow::base
