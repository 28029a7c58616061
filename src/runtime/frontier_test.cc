#include "runtime/frontier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include <metaflow/error.h>

#include "graph/testing.h"

namespace metaflow::runtime {
namespace {

using detail::Transition;
using graph::TestGraph;
using store::TaskData;
using store::TaskRef;
using testing::ElementsAre;
using testing::HasSubstr;

/// A frontier, and a run that only finishes tasks: their ids count from 1.
class FrontierDriver {
 public:
  explicit FrontierDriver(const graph::Graph& graph, std::uint64_t max_num_splits = 100)
      : graph_(graph),
        frontier(graph, max_num_splits, "./f", [this](int step, std::size_t n) { expected[name(step)] += n; }) {
    frontier.begin({"17", "_parameters", "0"});
  }

  std::string name(int step) const { return graph_.step(step).name; }

  /// Takes a task; it is not finished yet.
  Ready take() { return frontier.take(); }
  TaskRef finish(const Ready& work, TaskData data = {}) {
    TaskRef ref{"17", name(work.step), std::to_string(++tasks_)};
    if (data.next.empty() && !graph_.step(work.step).next.empty()) data.next = {name(graph_.step(work.step).next[0])};
    frontier.follow(work, ref, data);
    return ref;
  }
  TaskRef finish_next(TaskData data = {}) { return finish(take(), std::move(data)); }

  static TaskData items(std::uint64_t count) {
    TaskData data;
    data.splits = count;
    return data;
  }
  static TaskData choice(const std::string& step) {
    TaskData data;
    data.next = {step};
    return data;
  }

 private:
  const graph::Graph& graph_;
  int tasks_ = 0;

 public:
  std::map<std::string, std::size_t> expected;
  Frontier frontier;
};

TEST(Frontier, Linear) {
  const TestGraph graph{{"start", Transition::linear, {1}}, {"end"}};
  FrontierDriver driver(*graph);
  const Ready first = driver.take();
  EXPECT_EQ(driver.name(first.step), "start");
  EXPECT_THAT(first.inputs, ElementsAre(TaskRef{"17", "_parameters", "0"}));
  EXPECT_TRUE(driver.frontier.empty()) << "nothing follows before it has finished";
  driver.finish(first);
  const Ready last = driver.take();
  EXPECT_THAT(last.inputs, ElementsAre(TaskRef{"17", "start", "1"}));
  EXPECT_FALSE(driver.frontier.ended());
  driver.finish(last);
  EXPECT_TRUE(driver.frontier.ended() && driver.frontier.empty());
}

const TestGraph& branches() {
  static const TestGraph graph{{"start", Transition::split, {1, 2}},
                               {"a", Transition::linear, {3}},
                               {"b", Transition::linear, {3}},
                               {"join", Transition::linear, {4}, true},
                               {"end"}};
  return graph;
}

TEST(Frontier, JoinInputsAreInBranchOrder) {
  FrontierDriver driver(*branches());
  driver.finish_next();
  const Ready a = driver.take();
  const Ready b = driver.take();
  driver.finish(b);
  EXPECT_TRUE(driver.frontier.empty());
  driver.finish(a);
  const Ready join = driver.take();
  EXPECT_THAT(join.inputs, ElementsAre(TaskRef{"17", "a", "3"}, TaskRef{"17", "b", "2"}));
  EXPECT_EQ(join.joined_split, "17/start/1");
  EXPECT_EQ(join.position.split, nullptr);
}

const TestGraph& nested() {
  static const TestGraph graph{{"start", Transition::foreach, {1}},
                               {"outer", Transition::foreach, {2}},
                               {"inner", Transition::linear, {3}},
                               {"join_inner", Transition::linear, {4}, true},
                               {"join_outer", Transition::linear, {5}, true},
                               {"end"}};
  return graph;
}

TEST(Frontier, NestedForeachPositions) {
  FrontierDriver driver(*nested());
  driver.finish_next(FrontierDriver::items(2));
  EXPECT_EQ(driver.expected["outer"], 2U);
  EXPECT_EQ(driver.name(driver.frontier.next_step()), "outer");
  const Ready outer_0 = driver.take();
  const Ready outer_1 = driver.take();
  EXPECT_EQ(outer_1.split_index, 1U);
  driver.finish(outer_1, FrontierDriver::items(1));  // task 2
  driver.finish(outer_0, FrontierDriver::items(3));  // task 3
  EXPECT_THAT(driver.frontier.waiting(), ElementsAre(0, 0, 4, 0, 0, 0));
  const Ready inner = driver.take();  // of outer_1, which was first
  EXPECT_THAT(driver.frontier.indices(inner.position), ElementsAre(1, 0));
  EXPECT_EQ(driver.frontier.execution_path(inner.position), "outer:1,inner:0");
  driver.finish(inner);                              // task 4: its join can start
  for (int i = 0; i < 3; ++i) driver.finish_next();  // tasks 5 to 7: first in, first out
  Ready join = driver.take();
  EXPECT_EQ(driver.name(join.step), "join_inner");
  EXPECT_EQ(join.joined_split, "17/outer/2");
  EXPECT_THAT(driver.frontier.indices(join.position), ElementsAre(1));
  driver.finish(join);  // task 8
  join = driver.take();
  EXPECT_EQ(join.inputs.size(), 3U);
  EXPECT_THAT(driver.frontier.indices(join.position), ElementsAre(0));
  driver.finish(join);  // task 9
  const Ready last = driver.take();
  EXPECT_EQ(driver.name(last.step), "join_outer");
  EXPECT_EQ(last.joined_split, "17/start/1");
  // By item, not by time of arrival.
  EXPECT_THAT(last.inputs, ElementsAre(TaskRef{"17", "join_inner", "9"}, TaskRef{"17", "join_inner", "8"}));
}

TEST(Frontier, ForeachIsOneEntry) {
  FrontierDriver driver(*nested(), 2'000'000);
  driver.finish_next(FrontierDriver::items(1'000'000));
  EXPECT_EQ(driver.frontier.waiting()[1], 1'000'000U);
  EXPECT_EQ(driver.take().split_index, 0U);
  EXPECT_EQ(driver.take().split_index, 1U);
  EXPECT_EQ(driver.frontier.waiting()[1], 999'998U);
}

TEST(Frontier, RejectsTooManyItemsAndNone) {
  for (const std::uint64_t count : {0U, 101U}) {
    FrontierDriver driver(*nested());
    try {
      driver.finish_next(FrontierDriver::items(count));
      FAIL() << count;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::step_failure);
      EXPECT_THAT(error.what(), HasSubstr("start"));
    }
  }
}

const TestGraph& recursion() {
  static const TestGraph graph{{"start", Transition::linear, {1}}, {"again", Transition::choose, {1, 2}}, {"end"}};
  return graph;
}

TEST(Frontier, RecursionCountsIterations) {
  FrontierDriver driver(*recursion());
  driver.finish_next();
  for (std::size_t pass = 0; pass < 3; ++pass) {
    const Ready work = driver.take();
    EXPECT_EQ(work.iteration, pass);
    driver.finish(work, FrontierDriver::choice(pass < 2 ? "again" : "end"));
  }
  const Ready end = driver.take();
  EXPECT_EQ(driver.name(end.step), "end");
  EXPECT_EQ(end.iteration, 0U);
}

TEST(Frontier, TaskWithoutNextStepFails) {
  FrontierDriver driver(*recursion());
  driver.finish_next();
  EXPECT_THROW(driver.finish_next(FrontierDriver::choice("nowhere")), Error);
}

TEST(Frontier, DeferredTasksAreRestoredInOrder) {
  FrontierDriver driver(*nested());
  driver.finish_next(FrontierDriver::items(6));
  std::vector<Ready> kept;
  for (int i = 0; i < 6; ++i) kept.push_back(driver.take());
  driver.finish(kept[2], FrontierDriver::items(1));
  driver.frontier.defer(kept[0]);
  driver.frontier.defer(kept[1]);
  driver.frontier.defer(kept[3]);
  driver.frontier.defer(kept[5]);
  EXPECT_THAT(driver.frontier.waiting(), ElementsAre(0, 0, 1, 0, 0, 0)) << "deferred tasks cannot be taken";
  driver.frontier.restore();
  EXPECT_THAT(driver.frontier.waiting(), ElementsAre(0, 4, 1, 0, 0, 0));
  std::vector<std::size_t> order;
  for (int i = 0; i < 4; ++i) order.push_back(*driver.take().split_index);
  EXPECT_THAT(order, ElementsAre(0, 1, 3, 5));
  driver.take();
  EXPECT_TRUE(driver.frontier.empty());
}

TEST(Frontier, DeferredTasksAreExpectedOnce) {
  FrontierDriver driver(*branches());
  driver.finish_next();
  const Ready a = driver.take();
  driver.frontier.defer(a);
  driver.frontier.restore();
  EXPECT_EQ(driver.expected["a"], 1U);
  EXPECT_EQ(driver.name(driver.take().step), "a") << "restored tasks come first";
}

}  // namespace
}  // namespace metaflow::runtime
