// Character classes, digests, and the encodings of other programs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/ascii.h"
#include "base/hash.h"
#include "base/iso_time.h"
#include "base/percent.h"
#include "base/text.h"
#include "base/utf8.h"

namespace metaflow::base {
namespace {

using testing::Optional;

TEST(Ascii, EveryByteHasOneClass) {
  int digits = 0;
  int letters = 0;
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    digits += is_digit(c) ? 1 : 0;
    letters += is_letter(c) ? 1 : 0;
    EXPECT_EQ(is_alphanumeric(c), is_digit(c) || is_letter(c)) << byte;
    EXPECT_EQ(is_letter(c), is_lower(c) != is_upper(c)) << byte;
    EXPECT_EQ(hex_value(c) >= 0, std::string_view("0123456789abcdefABCDEF").find(c) != std::string_view::npos) << byte;
  }
  EXPECT_EQ(digits, 10);
  EXPECT_EQ(letters, 52);
  EXPECT_EQ(hex_value('f'), 15);
  EXPECT_EQ(hex_value('A'), 10);
  EXPECT_TRUE(is_all_digits("0123456789"));
  EXPECT_TRUE(is_all_digits(""));
  EXPECT_FALSE(is_all_digits("12x"));
}

TEST(Utf8, CodePointsOfEveryLength) {
  auto utf8 = [](char32_t code) {
    std::string text;
    append_utf8(text, code);
    return text;
  };
  EXPECT_EQ(utf8('a'), "a");
  EXPECT_EQ(utf8(0x7F), "\x7F");
  EXPECT_EQ(utf8(0x80), "\xC2\x80");
  EXPECT_EQ(utf8(0x20AC), "\xE2\x82\xAC");
  EXPECT_EQ(utf8(0x1F600), "\xF0\x9F\x98\x80");
  for (char32_t code = 0; code <= kLastCodePoint; code += 0x3F1) {
    const bool is_surrogate = code >= 0xD800 && code < 0xE000;
    EXPECT_EQ(find_invalid_utf8(utf8(code)) == std::string_view::npos, !is_surrogate) << static_cast<unsigned>(code);
  }
}

TEST(Hash, KnownDigests) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha1_hex("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  // RFC 4231, test case 2.
  EXPECT_EQ(hex(hmac_sha256(as_bytes("Jefe"), "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Hash, PiecesAreConcatenated) {
  Sha256 hash;
  for (const std::string_view piece : {"a", "", "bc"}) hash.update(as_bytes(piece));
  EXPECT_EQ(hash.digest(), sha256("abc"));
}

TEST(Percent, RoundTrip) {
  EXPECT_EQ(percent_encode("a b/+~\xC3\xBC"), "a%20b%2F%2B~%C3%BC");
  EXPECT_EQ(percent_encode("a b/../c", true), "a%20b/../c");
  EXPECT_EQ(percent_decode("a%20b%2f%2B~%C3%BC%4"), "a b/+~\xC3\xBC%4");
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(percent_decode(percent_encode(all)), all);
}

TEST(IsoTime, Forms) {
  EXPECT_EQ(parse_iso_time("1970-01-02T00:00:01Z"), 86401);
  EXPECT_EQ(parse_iso_time("1970-01-02T00:00:01.123456+00:00"), 86401);
  EXPECT_EQ(parse_iso_time("1970-01-02T00:00:01UTC"), 86401);
  EXPECT_EQ(parse_iso_time("1970-01-02"), std::nullopt);
  EXPECT_EQ(parse_iso_time("1970-01-02T00:00:01+02:00"), std::nullopt);
  EXPECT_EQ(basic_iso_time(1369353600), "20130524T000000Z");
}

TEST(HttpDate, IsEnglish) {
  EXPECT_THAT(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Optional(784111777));
  EXPECT_EQ(parse_http_date("Sun, 06 Xyz 1994 08:49:37 GMT"), std::nullopt);
}

}  // namespace
}  // namespace metaflow::base
