#include "compute/batch/submissions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "compute/batch/job_request.h"
#include "net/aws_testing.h"
#include "store/memory/memory_storage.h"

namespace metaflow::awsbatch {
namespace {

using net::Received;
using net::Reply;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

class SubmissionsTest : public net::AwsTest {
 protected:
  SubmissionsTest() {
    handler_ = [this](const Received& request) -> std::optional<Reply> {
      if (request.target == "/v1/submitjob") {
        jobs_.push_back(Json::parse_or_throw(request.body));
        return Reply{.body = Json{{"jobId", "j" + std::to_string(jobs_.size())}}.dump()};
      }
      if (request.target == "/v1/describejobdefinitions") ++looks_;
      if (request.target == "/v1/registerjobdefinition") {
        if (refuses_) return refusal(400, "ClientException", "no such image");
        return Reply{.body = R"({"jobDefinitionArn":"arn:d:1"})"};
      }
      return std::nullopt;
    };
    api_.emplace(loop_, clock_, session(), BatchApiOptions{.limits = quick(), .settling = 1000}, random_);
    placed_.request.image = "debian";
    placed_.queue.arn = "arn:q";
    submissions_.emplace(
        loop_, clock_, *api_, store_, SubmissionOptions{.run = "9", .user = "ada", .flow_in_image = "/opt/flow"},
        [this](const Order& order, Placement&& placement) { placements_[order.attempt->step.task] = placement; });
  }
  /// Adds tasks of a foreach, from `first` on.
  void add(int first, int count, int retry_count = 0, int tries = 0) {
    for (int i = 0; i < count; ++i) {
      auto attempt = std::make_shared<compute::Attempt>();
      attempt->id = ++attempts_;
      attempt->step.datastore_root = "s3://runs";
      attempt->step.step = "work";
      attempt->step.run = "9";
      attempt->step.task = std::to_string(first + i);
      attempt->step.inputs = {{"9", "start", "1"}};
      attempt->step.split_index = static_cast<std::size_t>(i);
      attempt->step.retry_count = retry_count;
      submissions_->add({.attempt = attempt, .placed = &placed_, .tries = tries});
    }
  }
  void run_until_placed(std::size_t count) {
    run_until([&] { return placements_.size() >= count; });
  }
  std::vector<Json> jobs() {
    const std::scoped_lock lock(mutex_);
    return jobs_;
  }
  std::vector<std::size_t> sizes() {
    std::vector<std::size_t> found;
    for (const Json& job : jobs()) found.push_back(job["arrayProperties"].get("size", std::size_t{1}));
    return found;
  }

  std::vector<Json> jobs_;
  int looks_ = 0;
  bool refuses_ = false;
  compute::AttemptId attempts_ = 0;
  PlacedRequest placed_;
  std::map<std::string, Placement> placements_;
  store::FlowStore store_{std::make_shared<store::MemoryStorage>(), "Sweep"};
  std::optional<BatchApi> api_;
  std::optional<Submissions> submissions_;
};

TEST_F(SubmissionsTest, SimilarTasksBecomeAnArray) {
  add(2, 50);
  run_until_placed(50);
  EXPECT_THAT(sizes(), ElementsAre(50));
  const Json job = jobs()[0];
  EXPECT_EQ(job["parameters"][kTaskParameter], "2-51");
  EXPECT_EQ(job["jobDefinition"], "arn:d:1");
  EXPECT_THAT(job["containerOverrides"]["command"].dump(),
              HasSubstr(R"("--tasks","2-51","--splits","0-49","--inputs","1*50","--")"));
  EXPECT_EQ(placements_["2"].job, "j1:0");
  EXPECT_EQ(placements_["51"].job, "j1:49");
  EXPECT_EQ(looks_, 1);
}

TEST_F(SubmissionsTest, FewTasksBecomeSingleJobs) {
  add(2, 3);
  run_until_placed(3);
  EXPECT_THAT(sizes(), ElementsAre(1, 1, 1));
  std::vector<std::string> tasks;
  for (const Json& job : jobs()) {
    tasks.push_back(job["parameters"][kTaskParameter].text());
    EXPECT_THAT(job["containerOverrides"]["command"].dump(), Not(HasSubstr("--tasks")));
  }
  EXPECT_THAT(tasks, UnorderedElementsAre("2", "3", "4"));
}

TEST_F(SubmissionsTest, AttemptsAndTriesAreNotMixed) {
  add(2, 4, 0);
  add(20, 5, 1);
  add(40, 6, 1, 1);
  run_until_placed(15);
  auto found = sizes();
  std::sort(found.begin(), found.end());
  EXPECT_THAT(found, ElementsAre(4, 5, 6));
  EXPECT_NE(jobs()[0]["jobName"], jobs()[1]["jobName"]);
}

TEST_F(SubmissionsTest, TasksThatArriveDuringCallsAreGrouped) {
  add(2, 1);
  run_until_placed(1);
  std::unique_lock lock(mutex_);  // the server answers nothing
  for (int i = 0; i < 8; ++i) {
    add(10 * (i + 1), 1);
    loop_.run_once();  // each is sent alone
  }
  for (int i = 0; i < 10; ++i) {
    add(200 + i, 1);
    base::EventLoop::Timer timer = loop_.after(0, [] {});
    loop_.run_once();
    loop_.cancel(timer);
  }
  lock.unlock();
  run_until_placed(19);
  auto found = sizes();
  std::sort(found.begin(), found.end());
  EXPECT_THAT(found, ElementsAre(1, 1, 1, 1, 1, 1, 1, 1, 1, 10));
}

TEST_F(SubmissionsTest, UnsentAttemptIsWithdrawn) {
  add(2, 5);
  EXPECT_TRUE(submissions_->withdraw(3));
  EXPECT_FALSE(submissions_->withdraw(3));
  run_until_placed(4);
  EXPECT_EQ(jobs()[0]["parameters"][kTaskParameter], "2-3,5-6");
  EXPECT_FALSE(submissions_->withdraw(1)) << "it is a job";
  EXPECT_FALSE(placements_.contains("4"));
}

TEST_F(SubmissionsTest, RefusedDefinitionFailsItsAttempts) {
  {
    const std::scoped_lock lock(mutex_);
    refuses_ = true;
  }
  add(2, 2);
  run_until_placed(2);
  EXPECT_THAT(placements_["2"].cause, HasSubstr("no such image"));
  EXPECT_TRUE(placements_["3"].hopeless);
  EXPECT_THAT(jobs(), IsEmpty());
}

TEST_F(SubmissionsTest, RefusedArrayFailsEachTask) {
  {
    const std::scoped_lock lock(mutex_);
    handler_ = [](const Received& request) -> std::optional<Reply> {
      if (request.target == "/v1/submitjob") return refusal(400, "ClientException", "no such queue");
      return Reply{.body = R"({"jobDefinitions":[{"status":"ACTIVE","revision":1,"jobDefinitionArn":"arn:d:1"}]})"};
    };
  }
  add(2, 6);
  run_until_placed(6);
  EXPECT_THAT(placements_["7"].cause, HasSubstr("Unable to launch AWS Batch job."));
  EXPECT_TRUE(placements_["7"].job.empty());
  EXPECT_TRUE(submissions_->is_idle());
}

}  // namespace
}  // namespace metaflow::awsbatch
