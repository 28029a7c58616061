#include "base/text.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include <metaflow/error.h>

#include "base/utf8.h"

namespace metaflow::base {
namespace {

TEST(Text, SplitsACommandIntoWords) {
  const auto words = [](std::string_view text) { return split_words(text); };
  using Words = std::vector<std::string>;
  EXPECT_EQ(words(""), Words{});
  EXPECT_EQ(words(" \t "), Words{});
  EXPECT_EQ(words("gdb --args  x"), (Words{"gdb", "--args", "x"}));
  EXPECT_EQ(words("a 'b c' \"d e\""), (Words{"a", "b c", "d e"}));
  EXPECT_EQ(words("a'b c'd"), (Words{"ab cd"})) << "quotes join";
  EXPECT_EQ(words("'' \"\""), (Words{"", ""})) << "quotes make an empty word";
  EXPECT_EQ(words(R"(a\ b \"c "d\"e")"), (Words{"a b", "\"c", "d\"e"}));
  EXPECT_EQ(words(R"('a\b')"), (Words{"a\\b"})) << "a backslash in single quotes is literal";
  EXPECT_EQ(words("a\\"), (Words{"a\\"})) << "a trailing backslash is literal";
  EXPECT_EQ(words("'open end"), (Words{"open end"}));
  EXPECT_EQ(words("$HOME *.cc a;b"), (Words{"$HOME", "*.cc", "a;b"})) << "nothing else is special";
}

TEST(Text, QuotesAWordForAShell) {
  EXPECT_EQ(shell_quoted("retry:times=2"), "retry:times=2");
  EXPECT_EQ(shell_quoted(""), "''");
  EXPECT_EQ(shell_quoted("a b"), "'a b'");
  EXPECT_EQ(shell_quoted("$(reboot);`x`!*?~#&|<>\"\\"), "'$(reboot);`x`!*?~#&|<>\"\\'");
  EXPECT_EQ(shell_quoted("it's größe"), R"('it'\''s größe')");
  EXPECT_EQ(shell_quoted("a\x1b[2J'\\\n\xff"), R"($'a\x1b[2J\'\\\x0a\xff')");
  for (const char* text : {"", "a b", "it's", "$(reboot)", "\\"})
    EXPECT_EQ(split_words(shell_quoted(text)).at(0), text);
}

TEST(Text, SplitKeepsEmptyParts) {
  EXPECT_EQ(split("a//b", '/'), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(split("", '/'), (std::vector<std::string>{""}));
}

TEST(Text, NumbersAreJoinedAsNumbers) {
  EXPECT_EQ(join(std::vector<std::size_t>{3, 65, 0}, ", "), "3, 65, 0");
  EXPECT_EQ(join(std::vector<std::size_t>{}, ", "), "");
  EXPECT_EQ(join(std::vector<std::string>{"a", "b"}, ", "), "a, b");
  EXPECT_EQ(join(std::vector<std::string_view>{"a", ""}, "/"), "a/");
}

TEST(Text, FindsInvalidUtf8) {
  EXPECT_EQ(find_invalid_utf8("h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x98\x80"), std::string::npos);
  EXPECT_EQ(find_invalid_utf8("ab\xff"), 2U);
  EXPECT_EQ(find_invalid_utf8("\xc0\x80"), 0U);      // overlong
  EXPECT_EQ(find_invalid_utf8("\xed\xa0\x80"), 0U);  // a surrogate
  EXPECT_EQ(find_invalid_utf8("\xf4\x90\x80\x80"), 0U);
  EXPECT_EQ(find_invalid_utf8("\xe2\x82"), 0U);  // cut off
  EXPECT_EQ(replace_invalid_utf8("a\xff\xc3\xa9"), "a\xef\xbf\xbd\xc3\xa9");
}

TEST(Text, ControlSequencesAreEscaped) {
  EXPECT_EQ(visible("plain \\ text, größe €"), "plain \\ text, größe €");
  EXPECT_EQ(visible("a\x1b]52;c;x\x07\n\r\t\x7f"), R"(a\x1b]52;c;x\x07\n\r\t\u007f)");
  EXPECT_EQ(visible(std::string_view("a\0b", 3)), R"(a\x00b)");
  EXPECT_EQ(visible("a\xc2\x9b\xe2\x80\xae\xe2\x80\x8b\xef\xbb\xbf"), R"(a\u009b\u202e\u200b\ufeff)");
  // A soft hyphen, a filler, a variation selector, a tag letter.
  EXPECT_EQ(visible("a\xc2\xad\xe3\x85\xa4\xef\xb8\x8f\xf3\xa0\x81\xa1"), R"(a\u00ad\u3164\ufe0f\udb40\udc61)");
  EXPECT_EQ(visible("a\xff\xe2\x82"), R"(a\xff\xe2\x82)");
  EXPECT_EQ(visible(visible("\x1b[2J\\")), visible("\x1b[2J\\")) << "doing it twice changes nothing";
}

TEST(Text, VisibleLinesKeepsLines) {
  EXPECT_EQ(visible_lines("a\tb\n\x1b[31mc\r\n"), "a\tb\n\\x1b[31mc\\r\n");
  const std::string json = "{\"a\": \"\\u001b\x7f\xc2\x9b\xe2\x80\xae\"}\n";
  EXPECT_EQ(visible_lines(json), R"({"a": "\u001b\u007f\u009b\u202e"})"
                                 "\n")
      << "still the same JSON";
}

TEST(Text, ErrorsEscapeControlSequences) {
  const Error error = Error(ErrorCode::data_store, "a\x1b[2J", "b\x07").prefixed("c\x9b");
  EXPECT_STREQ(error.what(), "c\\x9ba\\x1b[2J\nb\\x07");
  const std::string book(1 << 20, 'x');
  EXPECT_LT(Error(ErrorCode::data_store, book, book).message().size(), 20'000U);
  EXPECT_LT(Error(ErrorCode::data_store, book, book).hint().size(), 20'000U);
}

TEST(Text, VisibleOutputKeepsColours) {
  EXPECT_EQ(visible_output("\x1b[1;38:5:9mred\x1b[m\tplain"), "\x1b[1;38:5:9mred\x1b[m\tplain");
  EXPECT_EQ(visible_output("\x1b]0;title\x07\x1b[2J\x1b[1m"), "\\x1b]0;title\\x07\\x1b[2J\x1b[1m");
  EXPECT_EQ(visible_output("\x1b[1;2"), "\\x1b[1;2") << "incomplete";
  EXPECT_EQ(visible_output("\x1b[" + std::string(100, '1') + "m").substr(0, 4), "\\x1b");
  EXPECT_EQ(visible_output(" 50 %\r100 %\r"), "100 %") << "the final state on a terminal";
  EXPECT_EQ(visible_output("a\xe2\x80\x8d"
                           "b\xe2\x80\xae"),
            "a\xe2\x80\x8d"
            "b\\u202e")
      << "joiners are kept";
}

TEST(Text, QuotedTextIsJson) {
  EXPECT_EQ(json_quoted("a \"b\" \\ \n\x01 ü"), R"("a \"b\" \\ \n\u0001 ü")");
  EXPECT_EQ(json_quoted("a\xff"), "\"a\xef\xbf\xbd\"") << "JSON is UTF-8";
}

TEST(Text, FloatsLookLikePython) {
  EXPECT_EQ(python_float(1), "1.0");
  EXPECT_EQ(python_float(0.1), "0.1");
  EXPECT_EQ(python_float(1e16), "1e+16");
  EXPECT_EQ(python_float(123456789012345.0), "123456789012345.0");
  EXPECT_EQ(python_float(1e-5), "1e-05");
  EXPECT_EQ(python_float(-std::numeric_limits<double>::infinity()), "-inf");
}

TEST(Text, HumanBytes) {
  EXPECT_EQ(human_bytes(999), "999 bytes");
  EXPECT_EQ(human_bytes(51'200'000'000), "51.2 GB");
  EXPECT_EQ(human_bytes(999'999), "1.0 MB");
  EXPECT_EQ(grouped(51'200'000'000), "51,200,000,000");
  EXPECT_EQ(grouped(12), "12");
}

TEST(Text, Base64) {
  EXPECT_EQ(base64(as_bytes("")), "");
  EXPECT_EQ(base64(as_bytes("M")), "TQ==");
  EXPECT_EQ(base64(as_bytes("Ma")), "TWE=");
  EXPECT_EQ(base64(as_bytes("Man")), "TWFu");
}

TEST(Text, EditDistance) {
  EXPECT_EQ(edit_distance("--max-worker", "--max-workers"), 1U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("rnu", "run"), 1U);
}

TEST(Text, ShownValuesAreShortAndVisible) {
  EXPECT_EQ(shown_value("many"), "many");
  EXPECT_EQ(shown_value(""), "''");
  EXPECT_EQ(shown_value(" "), "' '");
  EXPECT_EQ(shown_value(std::string(99, 'x') + "\u00e9" + std::string(99, 'x')),
            std::string(99, 'x') + "... (200 bytes)");
}

}  // namespace
}  // namespace metaflow::base
