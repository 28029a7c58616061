#include "store/flow_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/memory/memory_storage.h"

namespace metaflow::store {
namespace {

using testing::ElementsAre;

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

}  // namespace
}  // namespace metaflow::store
