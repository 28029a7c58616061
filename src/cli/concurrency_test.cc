#include "cli/concurrency.h"

#include <gtest/gtest.h>

namespace metaflow::cli {
namespace {

TEST(Concurrency, NotesSayHowManyTasksRunAndWhy) {
  EXPECT_EQ(concurrency_notes({}, 16, true, 16, true), "");
  EXPECT_EQ(concurrency_notes({{"work", {2, "1 core, and this host has 2"}}}, 16, true, 2, true),
            "At most 2 tasks of step work run at once: each requests 1 core, and this host has 2.\n");
  EXPECT_EQ(concurrency_notes({{"work", {1, "1 GPU, and this host has 1"}}}, 16, true, 2, true),
            "At most 1 task of step work runs at once: each requests 1 GPU, and this host has 1.\n");
}

TEST(Concurrency, UnusedCoresAreNamedOnceTheUserHasNotChosen) {
  EXPECT_EQ(concurrency_notes({}, 16, true, 64, true),
            "At most 16 tasks run at once, and this host has 64 cores. To use all of them: --max-workers 64\n");
  EXPECT_EQ(concurrency_notes({}, 16, false, 64, true), "") << "--max-workers 16";
  EXPECT_EQ(concurrency_notes({}, 16, true, 64, false), "") << "all steps are executed elsewhere";
}

}  // namespace
}  // namespace metaflow::cli
