// Code points as UTF-8.
#pragma once

#include <string>

namespace metaflow::base {

inline constexpr char32_t kLastCodePoint = 0x10FFFF;

/// `code` is at most kLastCodePoint. Surrogates are written as they are.
void append_utf8(std::string& text, char32_t code);

}  // namespace metaflow::base
