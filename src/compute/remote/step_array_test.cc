#include "compute/remote/step_array.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <metaflow/error.h>

namespace metaflow::compute {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

StepArguments task(const std::string& id, std::optional<std::size_t> split = {}, const std::string& input = "4") {
  StepArguments step;
  step.datastore_root = "s3://runs";
  step.step = "work";
  step.run = "17";
  step.task = id;
  step.inputs = {{"17", "start", input}};
  step.split_index = split;
  return step;
}

std::string packed(std::initializer_list<std::uint64_t> numbers) {
  PackedNumbers made;
  for (const std::uint64_t number : numbers) made.add(number);
  return made.text();
}

TEST(PackedNumbersTest, RunsAndSingles) {
  EXPECT_EQ(packed({}), "");
  EXPECT_EQ(packed({5}), "5");
  EXPECT_EQ(packed({5, 6, 7, 9, 9, 9, 10, 3, 0, UINT64_MAX, 0}), "5-7,9*3,10,3,0,18446744073709551615,0");
  EXPECT_EQ(packed({9, 9, 10, 11}), "9*2,10-11");
}

TEST(PackedNumbersTest, RoundTrip) {
  const std::vector<std::uint64_t> numbers{5, 6, 7, 9, 9, 9, 10, 3, 0, UINT64_MAX, 0, 4, 4, 5};
  PackedNumbers made;
  for (const std::uint64_t number : numbers) made.add(number);
  for (std::size_t i = 0; i < numbers.size(); ++i) EXPECT_EQ(packed_number(made.text(), i), numbers[i]) << i;
  EXPECT_EQ(packed_number(made.text(), numbers.size()), std::nullopt);
}

TEST(PackedNumbersTest, InvalidTextIsRefused) {
  for (const char* text :
       {"", "a", "-", "5-", "-5", "5-4", "5-5", "5*", "*3", "05", "5--7", "5 ", "99999999999999999999"})
    EXPECT_EQ(packed_number(text, 0), std::nullopt) << text;
}

TEST(StepArrayTest, ItemsOfAForeach) {
  StepArray array;
  for (std::size_t i = 0; i < 10'000; ++i) ASSERT_TRUE(array.add(task(std::to_string(5 + i), i), 100));
  EXPECT_EQ(array.tasks(), "5-10004");
  EXPECT_THAT(array.words(), ElementsAre("--tasks", "5-10004", "--splits", "0-9999", "--inputs", "4*10000"));
  const StepArguments found = task_of_array(array.first(), {"5-10004", "0-9999", "4*10000"}, 700);
  EXPECT_EQ(to_command_line(found), to_command_line(task("705", 700)));
}

TEST(StepArrayTest, TasksAfterAForeach) {
  StepArray array;
  ASSERT_TRUE(array.add(task("30", {}, "20"), 100));
  EXPECT_EQ(array.tasks(), "30");
  EXPECT_THAT(array.words(), IsEmpty());
  ASSERT_TRUE(array.add(task("35", {}, "22"), 100));
  EXPECT_THAT(array.words(), ElementsAre("--tasks", "30,35", "--inputs", "20,22"));
  const StepArguments found = task_of_array(array.first(), {"30,35", "", "20,22"}, 1);
  EXPECT_EQ(to_command_line(found), to_command_line(task("35", {}, "22")));
}

TEST(StepArrayTest, UnorderedNumbersFillAnArray) {
  StepArray array;
  std::size_t taken = 0;
  while (array.add(task(std::to_string(10 + 7 * taken)), 50)) ++taken;
  EXPECT_EQ(array.size(), taken);
  EXPECT_LT(taken, 20u);
  EXPECT_LE(array.words()[1].size(), 50u);
}

TEST(StepArrayTest, OnlySimilarTasksHaveTheSameKey) {
  const auto key = StepArray::key(task("5", 0, "4"));
  ASSERT_TRUE(key);
  EXPECT_EQ(StepArray::key(task("6", 1, "7")), key);
  EXPECT_NE(StepArray::key(task("6")), key) << "it is not an item";
  StepArguments other = task("6", 1);
  other.retry_count = 1;
  EXPECT_NE(StepArray::key(other), key);
  other = task("6", 1);
  other.inputs.push_back({"17", "start", "5"});
  EXPECT_NE(StepArray::key(other), key);
  other = task("6", 1);
  other.inputs[0].step = "begin";
  EXPECT_NE(StepArray::key(other), key);
}

TEST(StepArrayTest, IdsThatAreNotNumbersStayAlone) {
  EXPECT_EQ(StepArray::key(task("a")), std::nullopt);
  EXPECT_EQ(StepArray::key(task("05")), std::nullopt);
  EXPECT_EQ(StepArray::key(task("5", 0, "mine")), std::nullopt);
}

TEST(StepArrayTest, PlaceOutOfRange) {
  EXPECT_THROW(task_of_array(task("5", 0), {"5-6", "0-1", ""}, 2), Error);
  EXPECT_THROW(task_of_array(task("5", 0), {"5-7", "0-1", ""}, 2), Error);
  EXPECT_THROW(task_of_array(task("5", 0), {"x", "", ""}, 0), Error);
  StepArguments join = task("5");
  join.inputs.push_back({"17", "start", "5"});
  EXPECT_THROW(task_of_array(join, {"5-6", "", "1-2"}, 0), Error);
}

}  // namespace
}  // namespace metaflow::compute
