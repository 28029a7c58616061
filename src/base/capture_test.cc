#include "base/capture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <metaflow/error.h>

#include "base/process.h"
#include "base/testing.h"

namespace metaflow::base {
namespace {

using std::chrono::milliseconds;

Captured run(const std::string& script, milliseconds limit = milliseconds(60'000)) {
  return run_captured({"sh", "-c", script}, own_environment(), limit);
}

TEST(Capture, OutputAndExitCode) {
  const Captured captured = run("echo out; echo err >&2; exit 3");
  EXPECT_EQ(captured.out, "out\n");
  EXPECT_EQ(captured.err, "err\n");
  EXPECT_EQ(captured.exit_code, 3);
  EXPECT_EQ(run("kill -9 $$").exit_code, 137);
  EXPECT_EQ(run("head -c 300000 /dev/zero").out.size(), 300'000U);
}

TEST(Capture, AProgramHasNoTerminalForAPassword) {
  EXPECT_EQ(with_terminal([] { return has_terminal() && run("read -r password </dev/tty").exit_code != 0 ? 0 : 1; }), 0)
      << "on a terminal it would be stopped in the background until the timeout";
}

TEST(Capture, ProgramsAreFoundByPath) {
  EXPECT_THAT(search_path("sh"), testing::Optional(testing::EndsWith("/sh")));
  EXPECT_EQ(search_path("no-such-program"), std::nullopt);
  EXPECT_EQ(find_program("sh"), search_path("sh"));
  EXPECT_EQ(find_program("./no-such-program"), "./no-such-program") << "a path is not looked for";
}

TEST(Capture, FailuresAreErrors) {
  EXPECT_THROW(run_captured({"no-such-program"}, {}, milliseconds(1000)), Error);
  EXPECT_THROW(run_captured({"/no/such/program"}, {}, milliseconds(1000)), Error);
  EXPECT_THROW(run("sleep 100", milliseconds(50)), Error);
  EXPECT_THROW(run("exec >&- 2>&-; sleep 100", milliseconds(50)), Error);
}

}  // namespace
}  // namespace metaflow::base
