#include "net/call_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "base/testing.h"

namespace metaflow::net {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// A server that answers on the test's command.
class FakeTransport : public HttpTransport {
 public:
  Id start(Request request, Done done) override {
    open.push_back({++last_, request.url, std::move(done)});
    return last_;
  }
  void cancel(Id id) override {
    std::erase_if(open, [&](const Open& o) { return o.id == id; });
  }
  /// The requests without an answer.
  std::vector<std::string> urls() const {
    std::vector<std::string> urls;
    for (const Open& o : open) urls.push_back(o.url);
    return urls;
  }
  /// Answers the oldest request.
  void answer(Response response) {
    const Done done = std::move(open.front().done);
    open.erase(open.begin());
    done(std::move(response));
  }
  void answer(int status) { answer(Response{.status = status}); }

  struct Open {
    Id id;
    std::string url;
    Done done;
  };
  std::vector<Open> open;

 private:
  Id last_ = 0;
};

/// The course of a call.
struct Story {
  std::vector<int> statuses;
  std::vector<std::int64_t> delays;
  bool over = false;
  bool may_have_executed = false;
};

class Ask : public ServiceCall {
 public:
  Ask(Story& story, std::string name) : story_(story), name_(std::move(name)) {}

  std::function<Decision(int status)> decide = [](int status) {
    return Decision{.next = status == 200 ? Next::finish : Next::retry};
  };
  std::function<bool()> has_credentials = [] { return true; };

  void prepare(const Ready& ready) override {
    if (!has_credentials()) return ready({.transient = true});
    ready({.request = Request{.url = name_}});
  }
  Decision evaluate(Response&& response) override {
    story_.statuses.push_back(response.status);
    return decide(response.status);
  }
  void on_retry(std::int64_t delay) override { story_.delays.push_back(delay); }
  void finish(bool may_have_executed) override {
    story_.over = true;
    story_.may_have_executed = may_have_executed;
  }

 private:
  Story& story_;
  std::string name_;
};

class CallQueueTest : public testing::Test {
 protected:
  using Lane = CallQueue::Lane;

  /// Delays are half of 1000, 2000, 4000, ...: "random" is 0.5.
  CallQueueTest() { limits_.retry = {.tries = 4, .first_delay = 1000, .max_delay = 3000}; }

  CallQueue& queue() {
    if (!queue_) queue_.emplace(loop_, clock_, http_, limits_, [] { return 0.5; });
    return *queue_;
  }
  CallQueue::Id start(Story& story, const std::string& name = "x", Lane lane = Lane::normal) {
    return start(std::make_unique<Ask>(story, name), lane);
  }
  CallQueue::Id start(std::unique_ptr<Ask> ask, Lane lane = Lane::normal) {
    const CallQueue::Id id = queue().start({.call = std::move(ask), .kind = "ask", .lane = lane});
    loop_.poll();
    return id;
  }
  void answer(int status) { answer(Response{.status = status}); }
  void answer(Response response) {
    http_.answer(std::move(response));
    loop_.poll();
  }
  void pass(std::int64_t microseconds) {
    clock_.now += microseconds;
    loop_.poll();
  }

  base::FakeClock clock_;
  base::EventLoop loop_{clock_};
  FakeTransport http_;
  CallLimits limits_;
  std::optional<CallQueue> queue_;
};

TEST_F(CallQueueTest, StartCallsNothing) {
  Story story;
  bool asked = false;
  auto ask = std::make_unique<Ask>(story, "x");
  ask->has_credentials = [&] { return asked = true; };
  queue().start({.call = std::move(ask)});
  EXPECT_FALSE(asked);
  loop_.poll();
  EXPECT_TRUE(asked);
}

TEST_F(CallQueueTest, RetriesAndReportsWhatMayHaveExecuted) {
  Story refused;
  start(refused);
  answer(429);
  EXPECT_THAT(http_.open, IsEmpty());
  pass(500);
  answer(200);
  EXPECT_THAT(refused.statuses, ElementsAre(429, 200));
  EXPECT_TRUE(refused.over);
  EXPECT_FALSE(refused.may_have_executed);

  Story broken;
  start(broken);
  answer(500);
  pass(500);
  answer(200);
  EXPECT_TRUE(broken.over);
  EXPECT_TRUE(broken.may_have_executed) << "before the server failed";
  EXPECT_EQ(queue().counters().calls, 4u);
  EXPECT_EQ(queue().counters().retries, 2u);
  EXPECT_EQ(queue().counters().refused, 1u);
  EXPECT_EQ(queue().counters().by_kind.at("ask"), 4u);
  EXPECT_EQ(queue().in_flight(), 0u);
}

TEST_F(CallQueueTest, DelaysGrowUntilItGivesUp) {
  Story story;
  start(story);
  for (const std::int64_t delay : {500, 1000, 1500}) {
    answer(503);
    pass(delay - 1);
    EXPECT_THAT(http_.open, IsEmpty());
    pass(1);
  }
  answer(503);
  EXPECT_TRUE(story.over);
  EXPECT_THAT(story.statuses, ElementsAre(503, 503, 503, 503));
  EXPECT_THAT(story.delays, ElementsAre(500, 1000, 1500));
}

TEST_F(CallQueueTest, ACallMayHaveItsOwnRetryOptions) {
  Story once;
  queue().start({.call = std::make_unique<Ask>(once, "x"), .retry = RetryOptions{.tries = 1}});
  loop_.poll();
  answer(503);
  EXPECT_TRUE(once.over);
  EXPECT_EQ(once.statuses.size(), 1u);
}

TEST_F(CallQueueTest, RetriesAreLimitedByTheBudget) {
  limits_.retry.budget = 2;
  std::vector<Story> stories(3);
  for (Story& story : stories) start(story);
  for (std::size_t i = 0; i < 3; ++i) answer(503);
  EXPECT_FALSE(stories[0].over || stories[1].over);
  EXPECT_TRUE(stories[2].over);
  EXPECT_FALSE(queue().budget().take());
}

TEST_F(CallQueueTest, AnyAnswerRefillsTheBudget) {
  limits_.retry.budget = 1;
  EXPECT_TRUE(queue().budget().take());
  Story story;
  for (int i = 0; i < 11; ++i) {
    auto ask = std::make_unique<Ask>(story, "x");
    ask->decide = [](int) { return ServiceCall::Decision{}; };
    start(std::move(ask));
    answer(404);
  }
  EXPECT_TRUE(queue().budget().take());
}

TEST_F(CallQueueTest, HonoursRetryAfter) {
  Story story;
  start(story);
  answer({.status = 429, .headers = {{"retry-after", "2"}}});
  pass(2'000'499);
  EXPECT_THAT(http_.open, IsEmpty());
  pass(1);
  EXPECT_EQ(http_.open.size(), 1u);
  EXPECT_THAT(story.delays, ElementsAre(2'000'500));
}

TEST_F(CallQueueTest, HonoursADelayInTheBody) {
  Story story;
  auto ask = std::make_unique<Ask>(story, "x");
  ask->decide = [](int) { return ServiceCall::Decision{.next = ServiceCall::Next::retry, .delay = 7000}; };
  start(std::move(ask));
  answer(429);
  EXPECT_THAT(story.delays, ElementsAre(7500));
}

TEST_F(CallQueueTest, ARetryWithOtherCredentialsDoesNotCount) {
  Story story;
  auto ask = std::make_unique<Ask>(story, "x");
  ask->decide = [](int status) {
    return ServiceCall::Decision{.next = status == 403 ? ServiceCall::Next::retry_now : ServiceCall::Next::finish};
  };
  queue().start({.call = std::move(ask), .retry = RetryOptions{.tries = 1}});
  loop_.poll();
  answer(403);
  answer(200);
  EXPECT_TRUE(story.over);
  EXPECT_THAT(story.statuses, ElementsAre(403, 200));
  EXPECT_THAT(story.delays, IsEmpty());
}

TEST_F(CallQueueTest, CredentialsMayComeLater) {
  Story story;
  int asked = 0;
  auto ask = std::make_unique<Ask>(story, "x");
  ask->has_credentials = [&] { return ++asked > 2; };
  start(std::move(ask));
  pass(500);
  pass(1000);
  EXPECT_EQ(asked, 3);
  answer(200);
  EXPECT_TRUE(story.over);
  EXPECT_EQ(queue().counters().calls, 1u);
}

TEST_F(CallQueueTest, LimitsConcurrency) {
  limits_.calls_at_a_time = 2;
  std::vector<Story> stories(5);
  for (std::size_t i = 0; i < stories.size(); ++i) start(stories[i], std::to_string(i));
  EXPECT_THAT(http_.urls(), ElementsAre("0", "1"));
  answer(200);
  EXPECT_THAT(http_.urls(), ElementsAre("1", "2"));
  answer(503);
  EXPECT_THAT(http_.urls(), ElementsAre("2", "3")) << "a call that waits for its retry occupies no slot";
  pass(500);
  answer(200);
  EXPECT_THAT(http_.urls(), ElementsAre("3", "1")) << "retries go before new calls";
}

TEST_F(CallQueueTest, StreamsAreNotLimited) {
  limits_.calls_at_a_time = 1;
  std::vector<Story> stories(3);
  start(stories[0], "call");
  start(stories[1], "stream", Lane::stream);
  start(stories[2], "waits");
  EXPECT_THAT(http_.urls(), ElementsAre("call", "stream"));
}

TEST_F(CallQueueTest, BackgroundCallsAreLastAndLimited) {
  limits_.calls_at_a_time = 3;
  limits_.background_at_a_time = 2;
  std::vector<Story> stories(7);
  for (const std::size_t i : {0, 1, 2}) start(stories[i], "b" + std::to_string(i), Lane::background);
  EXPECT_THAT(http_.urls(), ElementsAre("b0", "b1"));
  for (const std::size_t i : {3, 4}) start(stories[i], "n" + std::to_string(i));
  EXPECT_THAT(http_.urls(), ElementsAre("b0", "b1", "n3"));
  answer(200);
  EXPECT_THAT(http_.urls(), ElementsAre("b1", "n3", "n4"));
  answer(200);
  EXPECT_THAT(http_.urls(), ElementsAre("n3", "n4", "b2"));
}

TEST_F(CallQueueTest, LimitsTheRate) {
  limits_.calls_per_second = 100;
  limits_.burst = 1;
  std::vector<Story> stories(4);
  for (Story& story : stories) start(story);
  EXPECT_EQ(http_.open.size(), 1u);
  for (std::size_t sent = 2; sent <= 4; ++sent) {
    pass(9'999);
    EXPECT_EQ(http_.open.size(), sent - 1);
    pass(1);
    EXPECT_EQ(http_.open.size(), sent);
  }
  EXPECT_EQ(queue().counters().delayed, 3u);
}

TEST_F(CallQueueTest, NoRateLimit) {
  limits_.calls_per_second = 0;
  limits_.calls_at_a_time = 1000;
  std::vector<Story> stories(1000);
  for (Story& story : stories) start(story);
  EXPECT_EQ(http_.open.size(), 1000u);
}

TEST_F(CallQueueTest, ACancelledCallHasNoCallback) {
  limits_.calls_at_a_time = 1;
  std::vector<Story> stories(3);
  const CallQueue::Id running = start(stories[0], "running");
  const CallQueue::Id waiting = start(stories[1], "waiting");
  start(stories[2], "third");
  queue().cancel(waiting);
  queue().cancel(running);
  queue().cancel(running);
  loop_.poll();
  EXPECT_THAT(http_.urls(), ElementsAre("third"));
  answer(503);
  queue().cancel_all();
  pass(1'000'000);
  EXPECT_FALSE(stories[0].over || stories[1].over || stories[2].over);
  EXPECT_THAT(http_.open, IsEmpty());
  EXPECT_EQ(queue().in_flight(), 0u);
}

TEST_F(CallQueueTest, ACallMayBeCancelledByItsCallbacks) {
  Story story;
  CallQueue::Id id = 0;
  auto judged = std::make_unique<Ask>(story, "x");
  judged->decide = [&](int) {
    queue().cancel(id);
    return ServiceCall::Decision{.next = ServiceCall::Next::retry};
  };
  id = start(std::move(judged));
  answer(503);
  auto prepared = std::make_unique<Ask>(story, "x");
  prepared->has_credentials = [&] {
    queue().cancel(id);
    return true;
  };
  id = queue().start({.call = std::move(prepared)});
  loop_.poll();
  pass(1'000'000);
  EXPECT_FALSE(story.over);
  EXPECT_THAT(http_.open, IsEmpty());
  EXPECT_EQ(queue().in_flight(), 0u);
}

TEST_F(CallQueueTest, ExceptionsLeaveTheLoopAndOtherCallsContinue) {
  limits_.calls_at_a_time = 1;
  Story lost;
  Story other;
  auto no_keys = std::make_unique<Ask>(lost, "x");
  no_keys->has_credentials = []() -> bool { throw std::runtime_error("no keys"); };
  queue().start({.call = std::move(no_keys)});
  auto bad_answer = std::make_unique<Ask>(lost, "bad");
  bad_answer->decide = [](int) -> ServiceCall::Decision { throw std::runtime_error("bad answer"); };
  queue().start({.call = std::move(bad_answer)});
  queue().start({.call = std::make_unique<Ask>(other, "other")});
  EXPECT_THROW(loop_.poll(), std::runtime_error);
  loop_.poll();
  EXPECT_THROW(http_.answer(200), std::runtime_error);
  loop_.poll();
  EXPECT_THAT(http_.urls(), ElementsAre("other"));
  answer(200);
  EXPECT_TRUE(other.over);
  EXPECT_FALSE(lost.over);
  EXPECT_EQ(queue().in_flight(), 0u);
}

TEST_F(CallQueueTest, EndsCallsInFlight) {
  Story story;
  start(story, "sent");
  start(story, "waits for its next try");
  http_.answer(503);
  queue_.reset();
  EXPECT_THAT(http_.open, IsEmpty());
  pass(1'000'000);
  EXPECT_FALSE(story.over);
}

}  // namespace
}  // namespace metaflow::net
