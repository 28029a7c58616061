#include "compute/kubernetes/pod_log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>

#include "compute/kubernetes/client/testing.h"

namespace metaflow::kube {
namespace {

using PodLogTest = KubernetesApiTest;

TEST_F(PodLogTest, LongLineIsReportedInPieces) {
  const std::string time = "2026-11-23T04:16:21.5Z ";
  const std::string line(3 * PodLog::kMaxLine, 'x');
  // The beginning of a continued piece is text, even if it looks like a time.
  answers({{.pieces = {time + line, time + line + "\n" + time.substr(0, 20) + "6Z next\n"}}});
  std::string told;
  std::size_t longest = 0;
  std::optional<bool> whole;
  PodLog log(
      api(), "p", "c",
      [&](std::string_view lines) {
        longest = std::max(longest, lines.size());
        told += lines;
      },
      [&](bool is_whole) { whole = is_whole; });
  run_until([&] { return whole.has_value(); });
  EXPECT_TRUE(*whole);
  EXPECT_LT(longest, 2 * PodLog::kMaxLine);
  std::erase(told, '\n');
  EXPECT_TRUE(told == line + time + line + "next") << told.size();
}

}  // namespace
}  // namespace metaflow::kube
