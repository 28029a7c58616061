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
/// Splits a command into words: separated by blanks, quoted by 'a b', "a b" or a backslash. Nothing else is special.
std::vector<std::string> split_words(std::string_view text);
/// The text as one word for a shell. (Control characters use a form that bash, zsh and ksh understand.)
std::string shell_quoted(std::string_view text);
std::string_view trim(std::string_view text);  // removes white space from both ends

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

// Text from outside may contain terminal control sequences: they set the title or the clipboard, and hide or repeat
// lines. Such text goes to a terminal through one of the next three functions. Each may be applied twice.

/// The text on one line, with escapes for control characters, invisible characters, and characters that change the
/// order of the text: "a\x1b[2J\n".
std::string visible(std::string_view text);
/// The same, but newlines and tabs stay. JSON stays equal JSON.
std::string visible_lines(std::string_view text);
/// One line of program output. Colours (SGR) and tabs stay. Of text that carriage returns overwrite, as in a progress
/// bar, only the last state is kept.
std::string visible_output(std::string_view line);

std::string hex(std::span<const std::byte> bytes);  // lowercase
std::string base64(std::span<const std::byte> bytes);

/// "51.2 GB", "640 kB", "12 bytes": powers of ten, as Metaflow's memory=60000 (MB) counts.
std::string human_bytes(std::uint64_t bytes);
/// 12345678 -> "12,345,678"
std::string grouped(std::uint64_t number);
/// 1.5 -> "1.5 s"; 75 -> "1 min 15 s"
std::string human_seconds(double seconds);

/// A user's value for a message: cut if it is long, and '' if nothing of it is visible.
std::string shown_value(std::string_view text);

/// Python's repr() of a float: the shortest text that reads back as the same value, "1.0", "1e+16".
std::string python_float(double value);

/// The text in double quotes, with JSON's escapes. Invalid UTF-8 becomes U+FFFD. Code that composes JSON text quotes
/// every text with it, even one that is known to need no escapes.
std::string json_quoted(std::string_view text);
/// The texts as a JSON list on one line, formatted as by Python: ["a", "b"]
std::string json_quoted(std::span<const std::string> texts);

std::span<const std::byte> as_bytes(std::string_view text);
std::string_view as_text(std::span<const std::byte> bytes);

/// The number of characters (code points) of the UTF-8 text.
std::size_t characters(std::string_view text);
/// The first `count` characters of the UTF-8 text, or all of them.
std::string_view first_characters(std::string_view text, std::size_t count);
/// The last ones.
std::string_view last_characters(std::string_view text, std::size_t count);

/// The edit distance of two words, where a transposition counts as one edit: for "did you mean".
std::size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace metaflow::base
