#include "compute/local/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include <metaflow/error.h>

#include "compute/platform.h"

namespace metaflow::compute {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t kGB = 1'000'000'000;

std::string refusal(const Machine& machine, const Request& request) {
  try {
    machine.check("work", request);
    return {};
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_command);
    return error.what();
  }
}

TEST(Machine, ImpossibleRequestsAreRefused) {
  const Machine machine(4, 8 * kGB, {"0"});
  EXPECT_EQ(refusal(machine, {.cpus = 4, .memory = 8 * kGB, .gpus = 1}), "");
  EXPECT_THAT(refusal(machine, {.cpus = 4.5}), HasSubstr("Step work requests 4.5 cores, but this host has 4"));
  EXPECT_THAT(refusal(machine, {.memory = 9 * kGB}), HasSubstr("requests 9.0 GB of memory"));
  EXPECT_THAT(refusal(machine, {.gpus = 2}), HasSubstr("requests 2 GPUs, but this host has 1"));
}

TEST(Machine, RoomForManyTasks) {
  const Machine machine(4, 8 * kGB, {"0", "1", "2"});
  EXPECT_EQ(machine.room_for({.cpus = 1.5}).tasks, 2U);
  EXPECT_EQ(machine.room_for({.cpus = 1.5}).reason, "1.5 cores, and this host has 4");
  EXPECT_EQ(machine.room_for({.cpus = 1, .memory = 5 * kGB}).tasks, 1U);
  EXPECT_EQ(machine.room_for({.cpus = 1, .memory = 5 * kGB}).reason, "5.0 GB of memory, and this host has 8.0 GB");
  EXPECT_EQ(machine.room_for({.cpus = 0.1, .gpus = 1}).reason, "1 GPU, and this host has 3");
}

TEST(Machine, ResourcesAreTakenUntilTheyAreReleased) {
  Machine machine(4, 8 * kGB, {});
  Grant most = machine.take({.cpus = 3, .memory = 6 * kGB});
  EXPECT_TRUE(machine.fits({.cpus = 1, .memory = 2 * kGB}));
  EXPECT_FALSE(machine.fits({.cpus = 2}));
  EXPECT_FALSE(machine.fits({.cpus = 1, .memory = 3 * kGB}));
  machine.give_back(most);
  EXPECT_TRUE(machine.fits({.cpus = 4, .memory = 8 * kGB}));
  machine.give_back(most);
  EXPECT_FALSE(machine.fits({.cpus = 4.1})) << "the second time, nothing is released";
}

TEST(Machine, TenthsOfACoreAddUp) {
  Machine machine(1, kGB, {});
  std::vector<Grant> grants;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(machine.fits({.cpus = 0.1})) << i;
    grants.push_back(machine.take({.cpus = 0.1}));
  }
  EXPECT_FALSE(machine.fits({.cpus = 0.1}));
  for (Grant& grant : grants) machine.give_back(grant);
  EXPECT_TRUE(machine.fits({.cpus = 1}));
}

TEST(Machine, DevicesAreGivenByName) {
  Machine machine(8, kGB, {"0", "1", "GPU-x"});
  Grant two = machine.take({.gpus = 2});
  EXPECT_THAT(two.gpus, ElementsAre("0", "1"));
  Grant one = machine.take({.gpus = 1});
  EXPECT_THAT(one.gpus, ElementsAre("GPU-x"));
  EXPECT_FALSE(machine.fits({.gpus = 1}));
  EXPECT_THAT(machine.environment(one), Contains("CUDA_VISIBLE_DEVICES=GPU-x"));
  machine.give_back(two);
  EXPECT_THAT(two.gpus, IsEmpty());
  EXPECT_THAT(machine.take({.gpus = 1}).gpus, ElementsAre("0"));
}

TEST(Machine, WithoutDevicesTheVariableIsUnchanged) {
  Machine machine(8, kGB, {});
  for (const std::string& variable : machine.environment(machine.take({})))
    EXPECT_THAT(variable, Not(HasSubstr("VISIBLE_DEVICES")));
}

TEST(Machine, ThreadsAreWholeCoresUnlessSet) {
  Machine machine(8, kGB, {});
  ::unsetenv("OMP_NUM_THREADS");
  EXPECT_THAT(machine.environment(machine.take({.cpus = 2.9})), Contains("OMP_NUM_THREADS=2"));
  EXPECT_THAT(machine.environment(machine.take({.cpus = 0.5})), Contains("OMP_NUM_THREADS=1"));
  ::setenv("OMP_NUM_THREADS", "7", 1);
  EXPECT_THAT(machine.environment(machine.take({.cpus = 2})), Not(Contains(HasSubstr("OMP_NUM_THREADS"))));
  ::unsetenv("OMP_NUM_THREADS");
}

TEST(Machine, OnlyStepsWithLocalHaveARequest) {
  const auto resources = compute::platforms().decorators().parse("resources:cpu=3,memory=2000,gpu=1");
  EXPECT_FALSE(local_request({resources}));
  const auto request = local_request({resources, compute::platforms().decorators().parse("local")});
  ASSERT_TRUE(request);
  EXPECT_EQ(request->cpus, 3);
  EXPECT_EQ(request->memory, 2 * kGB);
  EXPECT_EQ(request->gpus, 1U);
  EXPECT_FALSE(request->enforce);
  EXPECT_EQ(local_request({compute::platforms().decorators().parse("local")})->cpus, 1) << "by default: one core";
}

}  // namespace
}  // namespace metaflow::compute
