#include "compute/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/format.h"

namespace metaflow::compute {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// Records its calls in a list that several backends share: "cloud submit 1".
class RecordingBackend : public Backend {
 public:
  RecordingBackend(std::string name, std::vector<std::string>& notes) : name_(std::move(name)), notes_(notes) {}

  bool has_room(const std::string& step) const override {
    notes_.push_back(fmt::format("{} has_room {}", name_, step));
    return room;
  }
  void submit(const Attempt& attempt) override { notes_.push_back(fmt::format("{} submit {}", name_, attempt.id)); }
  void stop(std::span<const AttemptId> attempts, Stop how) override {
    std::string line = fmt::format("{} {}", name_, how == Stop::ask ? "ask" : "force");
    for (const AttemptId attempt : attempts) line += fmt::format(" {}", attempt);
    notes_.push_back(line);
  }
  void hold_output(bool held) override { notes_.push_back(fmt::format("{} hold {}", name_, held)); }
  void end(Stop) override { notes_.push_back(name_ + " end"); }

  bool room = true;

 private:
  std::string name_;
  std::vector<std::string>& notes_;
};

class RouterTest : public testing::Test {
 protected:
  RouterTest() : router_(make("here")) {
    auto cloud = make("cloud");
    cloud_ = cloud.get();
    router_.add(std::move(cloud), {"train", "score"});
    router_.add(make("cluster"), {"sweep"});
  }
  std::unique_ptr<RecordingBackend> make(const std::string& name) {
    return std::make_unique<RecordingBackend>(name, notes_);
  }

  static Attempt attempt(AttemptId id, const std::string& step, int number = 0, int most = 0) {
    Attempt made{.id = id, .step = {}, .environment = {}};
    made.step.step = step;
    made.step.retry_count = number;
    made.step.max_user_code_retries = most;
    return made;
  }
  std::vector<std::string> take() { return std::exchange(notes_, {}); }

  std::vector<std::string> notes_;
  Router router_;
  RecordingBackend* cloud_ = nullptr;
};

TEST_F(RouterTest, AttemptsGoToTheBackendOfTheirStep) {
  router_.submit(attempt(1, "start"));
  router_.submit(attempt(2, "train"));
  router_.submit(attempt(3, "sweep"));
  router_.submit(attempt(4, "score"));
  EXPECT_THAT(take(), ElementsAre("here submit 1", "cloud submit 2", "cluster submit 3", "cloud submit 4"));
}

TEST_F(RouterTest, RetriesUseTheSameBackend) {
  router_.submit(attempt(1, "train", 2, 2));
  EXPECT_THAT(take(), ElementsAre("cloud submit 1"));
}

TEST_F(RouterTest, AttemptsThatRecordAFailureRunLocally) {
  router_.submit(attempt(1, "train", 3, 2));
  EXPECT_THAT(take(), ElementsAre("here submit 1"));
}

TEST_F(RouterTest, BackendOfAStepKnowsItsRoom) {
  EXPECT_TRUE(router_.has_room("start"));
  cloud_->room = false;
  EXPECT_FALSE(router_.has_room("score"));
  EXPECT_TRUE(router_.has_room("sweep"));
  EXPECT_THAT(take(), ElementsAre("here has_room start", "cloud has_room score", "cluster has_room sweep"));
}

TEST_F(RouterTest, StopHoldAndEndReachAllBackends) {
  const AttemptId attempts[] = {3, 5};
  router_.stop(attempts, Stop::ask);
  EXPECT_THAT(take(), ElementsAre("here ask 3 5", "cloud ask 3 5", "cluster ask 3 5"));
  router_.stop(attempts, Stop::force);
  EXPECT_THAT(take(), ElementsAre("here force 3 5", "cloud force 3 5", "cluster force 3 5"));
  router_.hold_output(true);
  EXPECT_THAT(take(), ElementsAre("here hold true", "cloud hold true", "cluster hold true"));
  EXPECT_THAT(take(), IsEmpty());
  router_.end(Stop::ask);
  EXPECT_THAT(take(), ElementsAre("here end", "cloud end", "cluster end"));
}

}  // namespace
}  // namespace metaflow::compute
