#include "store/overlay/overlay_storage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "store/memory/memory_storage.h"

namespace metaflow::store {
namespace {

using testing::ElementsAre;
using testing::Optional;

class Overlay : public testing::Test {
 protected:
  Overlay() {
    auto lower = std::make_unique<MemoryStorage>();
    auto upper = std::make_unique<MemoryStorage>();
    lower_ = lower.get();
    upper_ = upper.get();
    put(*lower_, "F/1/a", "below");
    overlay_ = std::make_unique<OverlayStorage>(std::move(lower), std::move(upper));
  }
  std::optional<std::string> text(Storage& storage, const std::string& path) {
    const auto content = get(storage, path);
    return content ? std::optional<std::string>(content->text()) : std::nullopt;
  }

  MemoryStorage* lower_ = nullptr;
  MemoryStorage* upper_ = nullptr;
  std::unique_ptr<OverlayStorage> overlay_;
};

TEST_F(Overlay, ReadsTheUpperBeforeTheLower) {
  put(*upper_, "F/1/b", "above");
  const std::vector<std::string> paths{"F/1/a", "F/1/b", "F/1/c"};
  const auto contents = overlay_->get(paths);
  EXPECT_EQ(contents[0]->text(), "below");
  EXPECT_EQ(contents[1]->text(), "above");
  EXPECT_FALSE(contents[2]);
  EXPECT_THAT(overlay_->sizes(paths), ElementsAre(Optional(5U), Optional(5U), std::nullopt));
  put(*upper_, "F/1/a", "over it");
  EXPECT_EQ(text(*overlay_, "F/1/a"), "over it");
}

TEST_F(Overlay, WritesToTheUpperOnly) {
  put(*overlay_, "F/1/a", "changed");
  EXPECT_EQ(text(*overlay_, "F/1/a"), "changed");
  EXPECT_EQ(text(*lower_, "F/1/a"), "below");
  const auto piece = base::as_bytes("content");
  const std::string key = overlay_->save_blob("F/data", Pieces(&piece, 1), -1);
  EXPECT_TRUE(exists(*overlay_, blob_path("F/data", key)));
  EXPECT_FALSE(exists(*lower_, blob_path("F/data", key)));
}

TEST_F(Overlay, DoesNotCreateWhatTheLowerHas) {
  EXPECT_FALSE(create(*overlay_, "F/1/a", "new"));
  EXPECT_FALSE(exists(*upper_, "F/1/a"));
  EXPECT_TRUE(create(*overlay_, "F/1/b", "new"));
  EXPECT_FALSE(create(*overlay_, "F/1/b", "newer"));
}

TEST_F(Overlay, CopiesFromBoth) {
  EXPECT_TRUE(copy(*overlay_, "F/1/a", "F/1/c"));
  EXPECT_EQ(text(*upper_, "F/1/c"), "below");
  put(*upper_, "F/1/b", "above");
  EXPECT_TRUE(copy(*overlay_, "F/1/b", "F/1/d"));
  EXPECT_EQ(text(*overlay_, "F/1/d"), "above");
  EXPECT_FALSE(copy(*overlay_, "F/1/none", "F/1/e"));
}

TEST_F(Overlay, ListsEveryNameOnce) {
  put(*upper_, "F/1/a", "over it");
  put(*upper_, "F/1/b/c", "");
  std::vector<std::string> names;
  for (const Entry& entry : overlay_->list("F/1")) names.push_back(entry.name + (entry.is_directory ? "/" : ""));
  EXPECT_THAT(names, testing::UnorderedElementsAre("a", "b/"));
}

TEST_F(Overlay, PresentsItselfAsTheLower) {
  EXPECT_EQ(overlay_->type(), lower_->type());
  EXPECT_EQ(&overlay_->root(), &lower_->root());
}

}  // namespace
}  // namespace metaflow::store
