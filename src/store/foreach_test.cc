#include "store/foreach.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <metaflow/error.h>

#include "store/memory/memory_storage.h"

namespace metaflow::store {
namespace {

using testing::HasSubstr;

class SeparateItemsTest : public testing::Test {
 protected:
  /// The item as text; or the error.
  std::string read(const std::string& key, std::size_t index) {
    try {
      const auto item = read_separate_item(store_, {"numbers", "", 0, "", key}, index);
      return item ? std::string(item->text()) : "none";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::data_store);
      return error.what();
    }
  }
  std::string save(std::string_view text) { return store_.save_value(std::array{std::as_bytes(std::span(text))}); }

  FlowStore store_{std::make_shared<MemoryStorage>(), "F"};
};

TEST_F(SeparateItemsTest, EachIsReadAlone) {
  const std::array<std::size_t, 4> sizes{3, 0, 1, 5};
  const std::string key = save_separate_items(store_, {"oneafirst", sizes});
  EXPECT_EQ(read(key, 0), "one");
  EXPECT_EQ(read(key, 1), "");
  EXPECT_EQ(read(key, 2), "a");
  EXPECT_EQ(read(key, 3), "first");
  EXPECT_THAT(read(key, 4), HasSubstr("The items of the foreach over 'numbers' are damaged: blob "));
  EXPECT_THAT(read(key, std::size_t{0} - 1), HasSubstr("are damaged"));
}

TEST_F(SeparateItemsTest, ARangeMayHaveNone) { EXPECT_EQ(read("", 0), "none"); }

TEST_F(SeparateItemsTest, ADamagedValueIsAnError) {
  auto number = [](std::uint64_t value) { return std::string(reinterpret_cast<const char*>(&value), sizeof value); };
  const std::string magic = "mfitems1";
  for (const std::string& text :
       {std::string(), std::string("\x80\x04K\x05."), magic, magic + "x", magic + number(1),
        magic + number(2) + number(1), magic + number(1) + number(9) + "short",
        magic + number(~std::uint64_t{0}) + number(1) + "x", magic + number(std::uint64_t{1} << 61) + number(1) + "x"})
    EXPECT_THAT(read(save(text), 0), HasSubstr("are damaged")) << testing::PrintToString(text);
  const std::string backwards = magic + number(2) + number(5) + number(3) + "items";
  EXPECT_EQ(read(save(backwards), 0), "items");
  EXPECT_THAT(read(save(backwards), 1), HasSubstr("are damaged"));
}

}  // namespace
}  // namespace metaflow::store
