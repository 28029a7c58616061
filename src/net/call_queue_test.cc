#include "net/call_queue.h"

#include <gtest/gtest.h>

#include "net/aws_testing.h"

namespace metaflow::net {
namespace {

/// What became of a call.
struct Story {
  std::vector<int> statuses;
  std::vector<std::int64_t> pauses;
  bool over = false;
  bool may_have_been_done = false;
};

class Ask : public Calling {
 public:
  Ask(Story& story, std::string url) : story_(story), url_(std::move(url)) {}

  std::function<Decision(int status)> decide = [](int status) {
    return Decision{.next = status == 200 ? Next::finish : Next::try_again};
  };
  std::function<bool()> has_credentials = [] { return true; };

  void prepare(const Ready& ready) override {
    if (!has_credentials()) return ready({.transient = true});
    ready({.request = Request{.url = url_}});
  }
  Decision judge(Response&& response) override {
    story_.statuses.push_back(response.status);
    return decide(response.status);
  }
  void will_try_again(std::int64_t pause) override { story_.pauses.push_back(pause); }
  void finish(bool may_have_been_done) override {
    story_.over = true;
    story_.may_have_been_done = may_have_been_done;
  }

 private:
  Story& story_;
  std::string url_;
};

class CallQueueTest : public AwsTest {
 protected:
  CallQueue& queue(CallLimits limits = quick()) {
    if (!queue_) queue_ = std::make_unique<CallQueue>(loop_, clock_, limits, HttpOptions{}, random_);
    return *queue_;
  }
  std::unique_ptr<Ask> ask(Story& story) { return std::make_unique<Ask>(story, server_.url("/x")); }
  CallQueue::Id start(Story& story) { return queue().start({.call = ask(story), .kind = "ask"}); }
  void finish(const Story& story) {
    run_until([&] { return story.over; });
  }

  std::unique_ptr<CallQueue> queue_;
};

TEST_F(CallQueueTest, TriesAgainAndTellsWhatMayHaveBeenDone) {
  answers({{.status = 429}, {.status = 200}});
  Story refused;
  start(refused);
  EXPECT_FALSE(refused.over) << "not from within start()";
  finish(refused);
  EXPECT_EQ(refused.statuses, (std::vector{429, 200}));
  EXPECT_FALSE(refused.may_have_been_done);
  answers({{.status = 500}, {.status = 200}});
  Story broken;
  start(broken);
  finish(broken);
  EXPECT_TRUE(broken.may_have_been_done) << "before it lost its head";
  EXPECT_EQ(queue().counters().calls, 4u);
  EXPECT_EQ(queue().counters().retries, 2u);
  EXPECT_EQ(queue().counters().refused, 1u);
  EXPECT_EQ(queue().counters().by_kind.at("ask"), 4u);
  EXPECT_EQ(queue().in_flight(), 0u);
}

TEST_F(CallQueueTest, GivesUpAfterSoManyTries) {
  answers({{.status = 503}});
  Story story;
  start(story);
  finish(story);
  EXPECT_EQ(story.statuses.size(), 4u);
  Story once;
  queue().start({.call = ask(once), .kind = "ask", .tries = 1});
  finish(once);
  EXPECT_EQ(once.statuses.size(), 1u);
}

TEST_F(CallQueueTest, WaitsAsLongAsTheServerAsks) {
  answers({{.status = 429, .headers = {{"Retry-After", "1"}}}, {.status = 200}});
  CallLimits limits = quick();
  limits.retry.longest_wait = 5'000'000;
  queue(limits);
  Story story;
  start(story);
  run_until([&] { return !story.pauses.empty(); });
  EXPECT_GE(story.pauses[0], 1'000'000);
}

TEST_F(CallQueueTest, OtherCredentialsAreNoOtherTry) {
  answers({{.status = 403}, {.status = 200}});
  Story story;
  auto call = ask(story);
  call->decide = [](int status) {
    return Calling::Decision{.next = status == 403 ? Calling::Next::at_once : Calling::Next::finish};
  };
  queue().start({.call = std::move(call), .kind = "ask", .tries = 1});
  finish(story);
  EXPECT_EQ(story.statuses, (std::vector{403, 200}));
  EXPECT_TRUE(story.pauses.empty());
}

TEST_F(CallQueueTest, CredentialsMayComeLater) {
  Story story;
  auto call = ask(story);
  int asked = 0;
  call->has_credentials = [&] { return ++asked > 2; };
  queue().start({.call = std::move(call), .kind = "ask"});
  finish(story);
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(story.statuses, std::vector{200});
  EXPECT_EQ(queue().counters().calls, 1u);
}

TEST_F(CallQueueTest, SoManyAtATime) {
  CallLimits limits = quick();
  limits.calls_at_a_time = 2;
  queue(limits);
  answers({{.pause = std::chrono::milliseconds(1)}});
  std::vector<Story> stories(9);
  for (Story& story : stories) start(story);
  for (const Story& story : stories) finish(story);
  EXPECT_LE(server_.connections(), 2) << "a connection serves one call at a time";
}

TEST_F(CallQueueTest, SoManyInAWhile) {
  CallLimits limits = quick();
  limits.calls_per_second = 100;
  limits.burst = 1;
  queue(limits);
  const std::int64_t began = clock_.monotonic_microseconds();
  std::vector<Story> stories(4);
  for (Story& story : stories) start(story);
  for (const Story& story : stories) finish(story);
  EXPECT_GE(clock_.monotonic_microseconds() - began, 29'000);
  EXPECT_EQ(queue().counters().delayed, 3u);
}

TEST_F(CallQueueTest, ACancelledCallIsOverWithoutAWord) {
  CallLimits limits = quick();
  limits.calls_at_a_time = 1;
  queue(limits);
  answers({{.pause = std::chrono::milliseconds(20)}, {}});
  Story first;
  Story second;
  Story third;
  const CallQueue::Id running = start(first);
  const CallQueue::Id waiting = start(second);
  start(third);
  queue().cancel(waiting);
  queue().cancel(running);
  queue().cancel(running);
  finish(third);
  EXPECT_FALSE(first.over || second.over);
  EXPECT_EQ(queue().in_flight(), 0u);
}

}  // namespace
}  // namespace metaflow::net
