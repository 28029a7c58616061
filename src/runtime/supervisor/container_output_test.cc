#include "runtime/supervisor/container_output.h"

#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "base/testing.h"
#include "base/text.h"

namespace metaflow::runtime {
namespace {

constexpr std::int64_t kMinute = 60'000'000;

class ContainerOutputTest : public testing::Test {
 protected:
  /// Adds more than fits, in pieces that end in the middle of a line; returns the number of bytes.
  std::size_t overflow() {
    const std::string piece = std::string(100, 'x') + '\n' + std::string(99'899, 'x');
    const std::size_t pieces = OutputQueue::kMost / piece.size() + 20;
    for (std::size_t i = 0; i < pieces; ++i) output_->add(piece);
    return pieces * piece.size();
  }

  base::SystemClock clock_;
  base::EventLoop loop_{clock_};
  base::ReadPipe pipe_;
  std::optional<ContainerOutput> output_{std::in_place, loop_, clock_, pipe_.in.get()};
};

TEST_F(ContainerOutputTest, DroppedBytesAreReportedBetweenWholeLines) {
  const std::size_t size = overflow();
  std::string shown;
  std::thread reader([&] { shown = base::read_bytes(pipe_.out.get(), 64 << 20); });
  EXPECT_TRUE(output_->finish(kMinute, -1));
  output_.reset();
  pipe_.in.reset();
  reader.join();
  const std::string notice = " bytes were not shown here: the output was not read. The stored log has them.\n";
  ASSERT_TRUE(shown.ends_with(notice));
  shown.resize(shown.size() - notice.size());
  const std::size_t line = shown.rfind('\n');
  EXPECT_EQ(shown.substr(line + 1), base::grouped(size - line));
}

TEST_F(ContainerOutputTest, ContinuesWithAWholeLine) {
  const std::size_t size = overflow();
  std::string shown = base::read_bytes(pipe_.out.get(), OutputQueue::kMost - 200'000);
  output_->add("rest ");
  output_->add("of a line\nnext line\n");
  std::thread reader([&] { shown += base::read_bytes(pipe_.out.get(), 64 << 20); });
  EXPECT_TRUE(output_->finish(kMinute, -1));
  output_.reset();
  pipe_.in.reset();
  reader.join();
  EXPECT_TRUE(shown.ends_with(" The stored log has them.\nnext line\n"));
  EXPECT_EQ(shown.find("rest"), std::string::npos);
  const std::size_t notice = shown.rfind("\n", shown.rfind(" bytes were not shown"));
  const std::size_t dropped = size + std::string_view("rest of a line\n").size() - notice;
  EXPECT_TRUE(shown.substr(notice + 1).starts_with(base::grouped(dropped) + " bytes"));
}

TEST_F(ContainerOutputTest, BytesThatFitAreShownUnchanged) {
  for (const char* piece : {"a", "b\n", "\n", "c"}) output_->add(piece);
  EXPECT_TRUE(output_->finish(kMinute, -1));
  EXPECT_EQ(base::read_bytes(pipe_.out.get(), 5), "ab\n\nc");
}

}  // namespace
}  // namespace metaflow::runtime
