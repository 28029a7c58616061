#include "store/flow_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "store/memory/memory_storage.h"

namespace metaflow::store {
namespace {

using testing::ElementsAre;

/// Lists the same directories wherever it is asked, in this order.
class ListedAsPut : public MemoryStorage {
 public:
  explicit ListedAsPut(std::vector<std::string> names) : names_(std::move(names)) {}
  std::vector<Entry> list(const std::string& /*path*/) override {
    std::vector<Entry> entries;
    for (const std::string& name : names_) entries.push_back({name, true});
    return entries;
  }

 private:
  std::vector<std::string> names_;
};

TEST(FlowStore, WhatIsNoStepOrTaskIsLeftOut) {
  FlowStore store(std::make_shared<MemoryStorage>(), "F");
  for (const char* path :
       {"F/17/_meta/x", "F/17/_parameters/0/x", "F/17/start/1/x", "F/17/start/10/x", "F/17/start/2-node-1/x",
        "F/17/start/_meta/x", "F/17/start/.mf-1-1.tmp/x", "F/17/start/1;reboot/x", "F/17/start/--wrap/x",
        "F/17/a step/1/x", "F/17/step-1/1/x", "F/17/größe/1/x", "F/17/file"})
    put(store.storage(), path, "");
  EXPECT_THAT(store.steps("17"), ElementsAre("_parameters", "größe", "start"));
  EXPECT_THAT(store.tasks("17", "start"), ElementsAre("1", "10", "2-node-1"));
  EXPECT_TRUE(store.has_run("17"));
  EXPECT_FALSE(store.has_run("17/start"));
  EXPECT_FALSE(store.has_run("../17"));
}

TEST(FlowStore, NumbersOfTasksComeByTheirValueAndBeforeTheRest) {
  // A comparison that is no order would put them differently for each order that they come in.
  std::vector<std::string> tasks{"10", "10-node-1", "9", "9-node-2", "100"};
  std::sort(tasks.begin(), tasks.end());
  do {
    FlowStore store(std::make_shared<ListedAsPut>(tasks), "F");
    EXPECT_THAT(store.tasks("17", "work"), ElementsAre("9", "10", "100", "10-node-1", "9-node-2"));
  } while (std::next_permutation(tasks.begin(), tasks.end()));
}

}  // namespace
}  // namespace metaflow::store
