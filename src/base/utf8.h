// UTF-8 (RFC 3629).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace metaflow::base {

inline constexpr char32_t kLastCodePoint = 0x10FFFF;

/// `code` is at most kLastCodePoint. Surrogates are encoded as they are.
void append_utf8(std::string& text, char32_t code);

/// The length of the well-formed sequence at `at`, an index within the text; 0 if there is none.
std::size_t utf8_length(std::string_view text, std::size_t at);
/// The position of the first byte that is not part of well-formed UTF-8; npos if the text is valid.
std::size_t find_invalid_utf8(std::string_view text);
/// The same text with U+FFFD in place of invalid bytes.
std::string replace_invalid_utf8(std::string_view text);

}  // namespace metaflow::base
