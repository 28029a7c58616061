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

/// A frontier, and a run that does nothing but finish tasks: their ids count from 1.
class Play {
 public:
  explicit Play(const graph::Graph& graph, std::uint64_t max_num_splits = 100)
      : graph_(graph), frontier(graph, max_num_splits, [this](int step, std::size_t n) { expected[name(step)] += n; }) {
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
  Play play(*graph);
  const Ready first = play.take();
  EXPECT_EQ(play.name(first.step), "start");
  EXPECT_THAT(first.inputs, ElementsAre(TaskRef{"17", "_parameters", "0"}));
  EXPECT_TRUE(play.frontier.empty()) << "nothing follows before it has finished";
  play.finish(first);
  const Ready last = play.take();
  EXPECT_THAT(last.inputs, ElementsAre(TaskRef{"17", "start", "1"}));
  EXPECT_FALSE(play.frontier.ended());
  play.finish(last);
  EXPECT_TRUE(play.frontier.ended() && play.frontier.empty());
}

const TestGraph& branches() {
  static const TestGraph graph{{"start", Transition::split, {1, 2}},
                               {"a", Transition::linear, {3}},
                               {"b", Transition::linear, {3}},
                               {"join", Transition::linear, {4}, true},
                               {"end"}};
  return graph;
}

TEST(Frontier, AJoinHasItsInputsInTheOrderOfTheBranchesHoweverTheyFinish) {
  Play play(*branches());
  play.finish_next();
  const Ready a = play.take();
  const Ready b = play.take();
  play.finish(b);
  EXPECT_TRUE(play.frontier.empty());
  play.finish(a);
  const Ready join = play.take();
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

TEST(Frontier, PlacesInAForeachInAForeach) {
  Play play(*nested());
  play.finish_next(Play::items(2));
  EXPECT_EQ(play.expected["outer"], 2U);
  EXPECT_EQ(play.name(play.frontier.next_step()), "outer");
  const Ready outer_0 = play.take();
  const Ready outer_1 = play.take();
  EXPECT_EQ(outer_1.split_index, 1U);
  play.finish(outer_1, Play::items(1));  // task 2
  play.finish(outer_0, Play::items(3));  // task 3
  EXPECT_THAT(play.frontier.waiting(), ElementsAre(0, 0, 4, 0, 0, 0));
  const Ready inner = play.take();  // of outer_1, which was first
  EXPECT_THAT(play.frontier.indices(inner.position), ElementsAre(1, 0));
  EXPECT_EQ(play.frontier.execution_path(inner.position), "outer:1,inner:0");
  play.finish(inner);                              // task 4: its join can start
  for (int i = 0; i < 3; ++i) play.finish_next();  // tasks 5 to 7: first in, first out
  Ready join = play.take();
  EXPECT_EQ(play.name(join.step), "join_inner");
  EXPECT_EQ(join.joined_split, "17/outer/2");
  EXPECT_THAT(play.frontier.indices(join.position), ElementsAre(1));
  play.finish(join);  // task 8
  join = play.take();
  EXPECT_EQ(join.inputs.size(), 3U);
  EXPECT_THAT(play.frontier.indices(join.position), ElementsAre(0));
  play.finish(join);  // task 9
  const Ready last = play.take();
  EXPECT_EQ(play.name(last.step), "join_outer");
  EXPECT_EQ(last.joined_split, "17/start/1");
  // By item, not by time.
  EXPECT_THAT(last.inputs, ElementsAre(TaskRef{"17", "join_inner", "9"}, TaskRef{"17", "join_inner", "8"}));
}

TEST(Frontier, AMillionItemsAreOneEntry) {
  Play play(*nested(), 2'000'000);
  play.finish_next(Play::items(1'000'000));
  EXPECT_EQ(play.frontier.waiting()[1], 1'000'000U);
  EXPECT_EQ(play.take().split_index, 0U);
  EXPECT_EQ(play.take().split_index, 1U);
  EXPECT_EQ(play.frontier.waiting()[1], 999'998U);
}

TEST(Frontier, TooManyItemsAndNone) {
  for (const std::uint64_t count : {0U, 101U}) {
    Play play(*nested());
    try {
      play.finish_next(Play::items(count));
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

TEST(Frontier, ARecursionCountsItsPasses) {
  Play play(*recursion());
  play.finish_next();
  for (std::size_t pass = 0; pass < 3; ++pass) {
    const Ready work = play.take();
    EXPECT_EQ(work.iteration, pass);
    play.finish(work, Play::choice(pass < 2 ? "again" : "end"));
  }
  const Ready end = play.take();
  EXPECT_EQ(play.name(end.step), "end");
  EXPECT_EQ(end.iteration, 0U);
}

TEST(Frontier, ATaskThatDoesNotSayWhatFollows) {
  Play play(*recursion());
  play.finish_next();
  EXPECT_THROW(play.finish_next(Play::choice("nowhere")), Error);
}

TEST(Frontier, WhatIsDeferredComesBackInItsOrder) {
  Play play(*nested());
  play.finish_next(Play::items(6));
  std::vector<Ready> kept;
  for (int i = 0; i < 6; ++i) kept.push_back(play.take());
  play.finish(kept[2], Play::items(1));
  play.frontier.defer(kept[0]);
  play.frontier.defer(kept[1]);
  play.frontier.defer(kept[3]);
  play.frontier.defer(kept[5]);
  EXPECT_THAT(play.frontier.waiting(), ElementsAre(0, 0, 1, 0, 0, 0)) << "not to be taken yet";
  play.frontier.restore();
  EXPECT_THAT(play.frontier.waiting(), ElementsAre(0, 4, 1, 0, 0, 0));
  std::vector<std::size_t> order;
  for (int i = 0; i < 4; ++i) order.push_back(*play.take().split_index);
  EXPECT_THAT(order, ElementsAre(0, 1, 3, 5));
  play.take();
  EXPECT_TRUE(play.frontier.empty());
}

TEST(Frontier, WhatIsDeferredIsNotExpectedTwice) {
  Play play(*branches());
  play.finish_next();
  const Ready a = play.take();
  play.frontier.defer(a);
  play.frontier.restore();
  EXPECT_EQ(play.expected["a"], 1U);
  EXPECT_EQ(play.name(play.take().step), "a") << "what is restored comes first";
}

}  // namespace
}  // namespace metaflow::runtime
