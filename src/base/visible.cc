// Escapes for text from outside that goes to a terminal.
#include <algorithm>
#include <cstdint>
#include <iterator>

#include "base/format.h"
#include "base/text.h"
#include "base/utf8.h"

namespace metaflow::base {

namespace {

/// What is kept besides text that a terminal merely displays.
enum class Passes : std::uint8_t {
  nothing,
  lines,  // newlines and tabs
  output  // tabs, colours, and the joiners and separators that some languages need
};

struct CodeRange {
  std::uint32_t first;
  std::uint32_t last;
};

/// Unicode's Default_Ignorable_Code_Point, and interlinear annotation marks: two names that differ only in these look
/// the same.
constexpr CodeRange kNotShown[] = {
    {0xAD, 0xAD},     {0x034F, 0x034F}, {0x061C, 0x061C},   {0x115F, 0x1160},   {0x17B4, 0x17B5},  {0x180B, 0x180F},
    {0x200B, 0x200F}, {0x202A, 0x202E}, {0x2060, 0x206F},   {0x3164, 0x3164},   {0xFE00, 0xFE0F},  {0xFEFF, 0xFEFF},
    {0xFFA0, 0xFFA0}, {0xFFF0, 0xFFFB}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF}};

/// Whether a code point beyond ASCII is a control character, is not shown, or changes the order of the text.
bool is_invisible(std::uint32_t c, Passes passes) {
  if (c < 0xA0 || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069)) return true;
  if (passes == Passes::output) return false;
  return std::any_of(std::begin(kNotShown), std::end(kNotShown),
                     [c](const CodeRange& range) { return c >= range.first && c <= range.last; });
}

/// The escape sequence in JSON's syntax.
std::string escape_code_point(std::uint32_t code) {
  if (code <= 0xFFFF) return fmt::format("\\u{:04x}", code);
  code -= 0x10000;
  return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (code >> 10U), 0xDC00 + (code & 0x3FFU));
}

constexpr std::size_t kMaxColourSize = 64;  // bytes

/// The length of a colour sequence at `at` ("\x1b[1;31m"); 0 if there is none.
std::size_t colour_length(std::string_view text, std::size_t at) {
  if (text.substr(at, 2) != "\x1b[") return 0;
  const std::size_t end = text.find_first_not_of("0123456789;:", at + 2);
  if (end == std::string_view::npos || text[end] != 'm' || end - at >= kMaxColourSize) return 0;
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
    case 0x7F: return "\\u007f";  // JSON allows it, too
    default: return fmt::format("\\x{:02x}", byte);
  }
}

bool is_plain(char c) { return c >= 0x20 && c < 0x7F; }

std::string shown(std::string_view text, Passes passes) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const char* const here = text.data() + at;
    const char* const plain_end = std::find_if_not(here, text.data() + text.size(), is_plain);
    result.append(here, plain_end);
    at += static_cast<std::size_t>(plain_end - here);
    if (at == text.size()) break;
    const auto first = static_cast<unsigned char>(text[at]);
    std::size_t length = utf8_length(text, at);
    if (length > 1) {
      const std::string_view sequence = text.substr(at, length);
      const std::uint32_t code = code_point(sequence);
      if (is_invisible(code, passes)) {
        result += escape_code_point(code);
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
