#include "store/exit_report.h"

#include <gtest/gtest.h>

#include <metaflow/error.h>

#include "store/flow_store.h"
#include "store/memory/memory_storage.h"

namespace metaflow::store {
namespace {

ExitReport example() {
  ExitReport report;
  report.stage = Stage::step;
  report.signal = 9;
  report.stopped_by = 15;
  report.oom_kills = 2;
  report.cause = "out of \"memory\" \xff";
  report.usage = {1'000'000, 1.5, 4096, 512};
  report.began = 1'795'366'132'157'650;
  report.ended = report.began + 5;
  return report;
}

TEST(ExitReport, ReadsBack) {
  const ExitReport read = exit_report_from_json(to_json(example()), "x");
  EXPECT_EQ(to_json(read), to_json(example()));
  EXPECT_EQ(read.stage, Stage::step);
  EXPECT_EQ(read.usage.peak_memory, 1'000'000U);
  EXPECT_EQ(read.oom_kills, 2U);
}

TEST(ExitReport, DamageIsAnError) {
  const std::string whole = to_json(example());
  for (std::size_t size = 0; size < whole.size(); size += 5)
    EXPECT_THROW(exit_report_from_json(std::string_view(whole).substr(0, size), "x"), Error);
  EXPECT_THROW(exit_report_from_json(R"({"stage": "never"})", "x"), Error);
  EXPECT_THROW(exit_report_from_json(R"({"stage": "step", "committed": 1})", "x"), Error);
}

TEST(ExitReport, IsStoredBesideTheAttempt) {
  auto storage = std::make_shared<MemoryStorage>();
  FlowStore store(storage, "F");
  const TaskRef task{"1", "start", "2"};
  EXPECT_FALSE(store.read_exit_report(task, 1));
  store.write_exit_report(task, 1, example());
  EXPECT_TRUE(exists(*storage, "F/1/start/2/1.exit.json"));
  EXPECT_EQ(store.read_exit_report(task, 1)->signal, 9);
}

}  // namespace
}  // namespace metaflow::store
