#include "net/call_failure.h"

#include <algorithm>

#include "base/format.h"
#include "base/text.h"
#include "base/utf8.h"

namespace metaflow::net {

namespace {

constexpr std::size_t kMaxPlainText = 200;  // bytes

}  // namespace

std::string advised(std::string_view text, std::string_view hint) {
  if (hint.empty()) return std::string(text);
  return fmt::format("{}{} {}", text, text.ends_with('.') ? "" : ".", hint);
}

std::string plain_text(std::string_view body) {
  const std::string_view words = base::trim(body.substr(0, kMaxPlainText));
  return words.starts_with('<') ? std::string() : on_one_line(base::replace_invalid_utf8(words));
}

std::string on_one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  return text;
}

}  // namespace metaflow::net
