#include "compute/batch/job_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/json.h"
#include "net/aws_testing.h"

namespace metaflow::awsbatch {
namespace {

using net::Received;
using net::Reply;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

class JobWatchTest : public net::AwsTest {
 protected:
  JobWatchTest() {
    handler_ = [this](const Received& request) -> std::optional<Reply> {
      const Json asked = Json::parse_or_throw(request.body);
      if (request.target == "/v1/terminatejob") {
        terminated_.push_back(asked["jobId"].text());
        return std::nullopt;
      }
      ++polls_;
      Json found = Json::list();
      for (const std::string& id : asked["jobs"].texts()) {
        asked_.insert(id);
        if (states_.contains(id)) {
          found.push_back({{"jobId", id}, {"status", states_.at(id)}});
        } else if (arrays_.contains(id)) {
          Json counts = Json::object();
          for (int i = 0; i < arrays_.at(id); ++i) {
            const std::string& state = states_.at(child_of(id, static_cast<std::size_t>(i)));
            counts.set(state, counts.get(state, 0) + 1);
          }
          found.push_back({{"jobId", id},
                           {"status", "PENDING"},
                           {"arrayProperties", {{"size", arrays_.at(id)}, {"statusSummary", counts}}}});
        }
      }
      return Reply{.body = Json{{"jobs", found}}.dump()};
    };
    events_.on_job = [this](Job&& job) { reported_.push_back(job.id + " " + std::string(name_of(job.status))); };
    events_.on_lost = [this](const std::string& job) {
      lost_.push_back(job);
      watch_->remove(job);
    };
    events_.on_failure = [this](const net::CallFailure&, const std::vector<std::string>& jobs) { failed_ = jobs; };
    api_.emplace(loop_, clock_, session(), BatchApiOptions{.limits = quick(1), .settling = 1000}, random_);
    watch_.emplace(loop_, clock_, *api_, events_, 1000);
  }
  void set(const std::string& job, const std::string& state) {
    const std::scoped_lock lock(mutex_);
    states_[job] = state;
  }
  void add_array(const std::string& id, int size) {
    for (int i = 0; i < size; ++i) set(child_of(id, static_cast<std::size_t>(i)), "RUNNABLE");
    const std::scoped_lock lock(mutex_);
    arrays_[id] = size;
  }
  void watch_array(const std::string& id, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) watch_->add(child_of(id, i));
  }
  int polls() {
    const std::scoped_lock lock(mutex_);
    return polls_;
  }
  /// Runs until this many more polls were answered.
  void run_polls(int count) {
    const int before = polls();
    run_until([&] { return polls() >= before + count; });
  }
  std::set<std::string> asked_since() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(asked_, {});
  }
  std::vector<std::string> terminated() {
    const std::scoped_lock lock(mutex_);
    return terminated_;
  }

  std::map<std::string, std::string> states_;
  std::map<std::string, int> arrays_;
  std::set<std::string> asked_;
  std::vector<std::string> terminated_;
  int polls_ = 0;
  std::vector<std::string> reported_;
  std::vector<std::string> lost_;
  std::vector<std::string> failed_;
  JobWatch::Events events_;
  std::optional<BatchApi> api_;
  std::optional<JobWatch> watch_;
};

TEST_F(JobWatchTest, ReportsJobsUntilTheyAreRemoved) {
  set("a", "RUNNING");
  set("b", "SUCCEEDED");
  watch_->add("a");
  watch_->add("b");
  run_until([&] { return reported_.size() >= 2; });
  EXPECT_THAT(reported_, UnorderedElementsAre("a RUNNING", "b SUCCEEDED"));
  watch_->remove("b");
  asked_since();
  run_polls(2);
  EXPECT_THAT(asked_since(), ElementsAre("a"));
}

TEST_F(JobWatchTest, ChildrenArePolledWhenTheirArrayHasChanged) {
  add_array("p", 3);
  watch_array("p", 3);
  run_until([&] { return reported_.size() >= 3; });
  EXPECT_THAT(reported_, UnorderedElementsAre("p:0 RUNNABLE", "p:1 RUNNABLE", "p:2 RUNNABLE"));
  run_polls(1);
  asked_since();
  run_polls(3);
  EXPECT_THAT(asked_since(), ElementsAre("p")) << "nothing has changed";
  reported_.clear();
  set("p:1", "RUNNING");
  run_until([&] { return !reported_.empty(); });
  EXPECT_THAT(reported_, Contains("p:1 RUNNING"));
}

TEST_F(JobWatchTest, EndedChildrenAreNotPolledAgain) {
  add_array("p", 3);
  watch_array("p", 3);
  set("p:0", "FAILED");
  run_until([&] { return reported_.size() >= 3; });
  watch_->remove("p:0");
  run_polls(1);
  asked_since();
  run_polls(3);
  EXPECT_THAT(asked_since(), ElementsAre("p"));
  reported_.clear();
  set("p:2", "SUCCEEDED");
  run_until([&] { return !reported_.empty(); });
  EXPECT_THAT(reported_, AllOf(Contains("p:2 SUCCEEDED"), Not(Contains(HasSubstr("p:0")))));
}

TEST_F(JobWatchTest, UnknownJobIsLostAfterSomePolls) {
  set("a", "RUNNING");
  add_array("p", 1);
  watch_->add("a");
  watch_->add("gone");
  watch_->add("forgotten:0");
  run_until([&] { return lost_.size() == 1; });
  EXPECT_EQ(lost_[0], "gone");
}

TEST_F(JobWatchTest, MissingPermissionIsReported) {
  {
    const std::scoped_lock lock(mutex_);
    handler_ = nullptr;
  }
  answers({refusal(403, "AccessDeniedException", "not authorized to perform: batch:DescribeJobs")});
  watch_->add("a");
  watch_->add("p:0");
  watch_->add("p:1");
  run_until([&] { return !failed_.empty(); });
  EXPECT_THAT(failed_, UnorderedElementsAre("a", "p:0", "p:1"));
}

TEST_F(JobWatchTest, OneCallTerminatesAnArray) {
  add_array("p", 3);
  add_array("q", 2);
  watch_array("p", 3);
  watch_array("q", 2);
  watch_->add("a");
  int done = 0;
  watch_->remove("p:0");
  for (const char* job : {"p:1", "p:2", "q:1", "a"}) watch_->terminate(job, "enough", [&] { ++done; });
  EXPECT_FALSE(watch_->is_idle());
  run_until([&] { return watch_->is_idle(); });
  EXPECT_EQ(done, 4);
  EXPECT_THAT(terminated(), UnorderedElementsAre("p", "q:1", "a"));
}

}  // namespace
}  // namespace metaflow::awsbatch
