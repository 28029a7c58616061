// Small operations on text.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace metaflow::base {

std::vector<std::string> split(std::string_view text, char separator);
/// The words of a command: apart by blanks, together by quotes ('a b', "a b") or a backslash. Nothing else is special.
std::vector<std::string> split_words(std::string_view text);
/// The text as one word for a shell (of which bash, zsh and ksh know the form that control characters need).
std::string shell_quoted(std::string_view text);
std::string_view trim(std::string_view text);  // of white space on both ends

template <class Range>
  requires std::convertible_to<decltype(*std::begin(std::declval<const Range&>())), std::string_view>
std::string join(const Range& parts, std::string_view separator) {
  std::string joined;
  bool first = true;
  for (const auto& part : parts) {
    if (!first) joined += separator;
    first = false;
    joined += part;
  }
  return joined;
}

std::string join(std::span<const std::size_t> numbers, std::string_view separator);

std::string upper(std::string_view text);  // ASCII
std::string lower(std::string_view text);  // ASCII

// What somebody else has written may hold sequences that a terminal obeys: they set its title or its clipboard, and
// hide or repeat lines. Such text goes to a terminal through one of the next three. Each may be applied twice.

/// The text on one line, with escapes for what a terminal would obey, would not show, or would show in another order:
/// "a\x1b[2J\n".
std::string visible(std::string_view text);
/// The same, but newlines and tabs stay. JSON stays the JSON that it was.
std::string visible_lines(std::string_view text);
/// One line that a program printed. Colours (SGR) and tabs stay. Of what carriage returns overwrite, as a progress bar
/// does, the last is left.
std::string visible_output(std::string_view line);

std::string hex(std::span<const std::byte> bytes);  // lowercase
std::string base64(std::span<const std::byte> bytes);

/// "51.2 GB", "640 kB", "12 bytes": powers of ten, as Metaflow's memory=60000 (MB) counts.
std::string human_bytes(std::uint64_t bytes);
/// 12345678 -> "12,345,678"
std::string grouped(std::uint64_t number);
/// 1.5 -> "1.5 s"; 75 -> "1 min 15 s"
std::string human_seconds(double seconds);

/// A value that a user gave, as a message shows it: cut when it is long, and '' where there is nothing to be seen.
std::string shown_value(std::string_view text);

/// Python's repr() of a float: the shortest text that reads back, "1.0", "1e+16".
std::string python_float(double value);

/// The text in double quotes, with JSON's escapes. What is not UTF-8 becomes U+FFFD. JSON that we put together quotes
/// every text by this, also one that is known to need no quotes.
std::string json_quoted(std::string_view text);
/// The texts as a list of JSON, on one line as Python writes it: ["a", "b"]
std::string json_quoted(std::span<const std::string> texts);

std::span<const std::byte> as_bytes(std::string_view text);
std::string_view as_text(std::span<const std::byte> bytes);

/// How many characters (code points) the UTF-8 text has.
std::size_t characters(std::string_view text);

/// How many edits turn one word into the other, two letters that changed places being one: for "did you mean".
std::size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace metaflow::base
