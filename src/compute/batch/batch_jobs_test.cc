#include "compute/batch/batch_jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "compute/remote/testing.h"
#include "net/aws_testing.h"
#include "store/memory/memory_storage.h"

namespace metaflow::awsbatch {
namespace {

using compute::AttemptId;
using compute::order_of;
using net::Received;
using net::Reply;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

/// An account with jobs whose states a test sets.
class BatchJobsTest : public net::AwsTest {
 protected:
  BatchJobsTest() {
    handler_ = [this](const Received& request) -> std::optional<Reply> {
      const std::string operation = request.target.substr(request.target.rfind('/') + 1);
      ++calls_[operation];
      if (const auto fault = faults_.find(operation); fault != faults_.end() && !fault->second.empty()) {
        Reply reply = fault->second.front();
        fault->second.pop_front();
        if (reply.reset)
          answer(operation, Json::parse_or_throw(request.body));  // it is carried out, but the answer is lost
        return reply;
      }
      return Reply{.body = answer(operation, Json::parse_object(request.body).value_or(Json::object())).dump()};
    };
    options_.jobs = {.run = "7", .user = "ada", .flow_in_image = "/opt/flow"};
    PlacedRequest placed;
    placed.request.image = "debian";
    placed.queue.arn = "arn:q";
    options_.requests["work"] = placed;
    options_.poll_every = 1000;
  }

  Json answer(const std::string& operation, const Json& asked) {
    if (operation == "submitjob") {
      const std::string id = "j" + std::to_string(names_.size() + 1);
      names_.emplace_back(id, asked["jobName"].text());
      const auto size = asked["arrayProperties"].get("size", 0);
      for (int i = 0; i < size; ++i) states_[child_of(id, static_cast<std::size_t>(i))] = {{"status", "SUBMITTED"}};
      if (size > 0) arrays_[id] = size;
      if (size == 0) states_[id] = {{"status", "SUBMITTED"}};
      return {{"jobId", id}};
    }
    if (operation == "describejobs") {
      Json found = Json::list();
      for (const std::string& id : asked["jobs"].texts()) {
        if (lost_.contains(id)) continue;
        if (states_.contains(id)) {
          Json job = states_.at(id);
          job.set("jobId", id);
          found.push_back(job);
        } else if (arrays_.contains(id)) {
          Json counts = Json::object();
          for (int i = 0; i < arrays_.at(id); ++i) {
            const std::string& status = states_.at(child_of(id, static_cast<std::size_t>(i)))["status"].text();
            counts.set(status, counts.get(status, 0) + 1);
          }
          found.push_back({{"jobId", id},
                           {"status", "PENDING"},
                           {"arrayProperties", {{"size", arrays_.at(id)}, {"statusSummary", counts}}}});
        }
      }
      return {{"jobs", found}};
    }
    if (operation == "listjobs") {
      Json found = Json::list();
      for (const auto& [id, name] : names_)
        found.push_back({{"jobId", id}, {"jobName", name}, {"status", "SUBMITTED"}});
      return {{"jobSummaryList", found}};
    }
    if (operation == "terminatejob") terminated_.push_back(asked["jobId"].text());
    if (operation == "registerjobdefinition") return {{"jobDefinitionArn", "arn:d:1"}};
    if (asked.contains("logStreamName"))
      return {{"events", Json::list({{{"message", "sh: not found"}}})}, {"nextForwardToken", "f/1"}};
    return Json::object();
  }

  BatchJobs& jobs() {
    if (!jobs_) jobs_.emplace(loop_, clock_, events_, store_, session(), options_);
    return *jobs_;
  }
  void fault(const std::string& operation, std::deque<Reply> replies) {
    const std::scoped_lock lock(mutex_);
    faults_[operation] = std::move(replies);
  }
  void set(const std::string& job, Json state) {
    const std::scoped_lock lock(mutex_);
    states_[job] = std::move(state);
  }
  int calls(const std::string& operation) {
    const std::scoped_lock lock(mutex_);
    return calls_[operation];
  }
  std::vector<std::string> terminated() {
    const std::scoped_lock lock(mutex_);
    return terminated_;
  }
  void wait_for(const std::string& line, std::size_t times = 1) {
    run_until([&] { return events_.count(line) >= times; });
  }
  /// Waits until the account has received this call.
  void wait_for_call(const std::string& operation) {
    while (calls(operation) == 0) {
      const base::EventLoop::Timer tick = loop_.after(1000, [] {});
      loop_.run_once();
      loop_.cancel(tick);
    }
  }
  void submit(AttemptId id) {
    jobs().submit(order_of(id));
    wait_for(std::to_string(id) + " job ");
  }
  void remove(AttemptId id) { jobs().remove(std::span(&id, 1)); }
  void end() {
    bool done = false;
    jobs().end([&] { done = true; });
    run_until([&] { return done; });
  }
  void TearDown() override {
    jobs_.reset();
    AwsTest::TearDown();
  }

  std::map<std::string, int> calls_;
  std::map<std::string, std::deque<Reply>> faults_;
  std::vector<std::pair<std::string, std::string>> names_;  // of jobs, by id
  std::map<std::string, Json> states_;
  std::map<std::string, int> arrays_;
  std::set<std::string> lost_;
  std::vector<std::string> terminated_;
  store::FlowStore store_{std::make_shared<store::MemoryStorage>(), "F"};
  compute::RecordingJobEvents events_;
  BatchOptions options_;
  std::optional<BatchJobs> jobs_;
};

// --- from attempt to job

TEST_F(BatchJobsTest, ChangesOfAJobAreReported) {
  options_.instance_due = 1000;
  submit(1);
  set("j1", {{"status", "RUNNABLE"}});
  wait_for("1 waiting: Job is RUNNABLE: no instance is available yet (no reason given");
  EXPECT_FALSE(events_.states[1].hopeless);
  set("j1", {{"status", "RUNNABLE"}, {"statusReason", "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"}});
  wait_for("1 waiting: Job is RUNNABLE: CAPACITY");
  set("j1", {{"status", "RUNNING"}, {"startedAt", 5}});
  wait_for("1 running: Job is running.");
  set("j1", {{"status", "FAILED"}, {"startedAt", 5}, {"container", {{"exitCode", 3}}}});
  wait_for("1 ended: ");
  EXPECT_EQ(events_.lines.back(), "1 ended: Task exited with code 3.");
  EXPECT_TRUE(events_.states[1].end.ran);
  EXPECT_EQ(events_.count("1 running"), 1U) << "reported once, however often it is polled";
}

TEST_F(BatchJobsTest, SimilarAttemptsBecomeAnArrayAndEachIsReported) {
  for (const AttemptId id : {1, 2, 3, 4, 5, 6}) jobs().submit(order_of(id));
  wait_for(" job j1:", 6);
  EXPECT_EQ(calls("submitjob"), 1);
  set("j1:4", {{"status", "SUCCEEDED"}, {"startedAt", 5}});
  wait_for("ended: succeeded");
  EXPECT_EQ(events_.lines.back(), "5 ended: succeeded");
}

TEST_F(BatchJobsTest, RefusedJobIsReported) {
  fault("submitjob", {refusal(400, "ClientException", "no such queue")});
  jobs().submit(order_of(1));
  wait_for("1 no job");
  EXPECT_THAT(events_.lines,
              ElementsAre(testing::AllOf(StartsWith("1 no job, hopeless: Unable to launch AWS Batch job."),
                                         HasSubstr("no such queue"))));
}

TEST_F(BatchJobsTest, ThrottledSubmissionIsRetried) {
  fault("submitjob", {refusal(429, "TooManyRequestsException", "x"), refusal(429, "TooManyRequestsException", "x")});
  submit(1);
  EXPECT_EQ(calls("submitjob"), 3);
}

// --- removal

TEST_F(BatchJobsTest, UnsentAttemptIsWithdrawn) {
  jobs().submit(order_of(1));
  remove(1);
  wait_for("1 removed, gone");
  end();
  EXPECT_EQ(calls("submitjob"), 0);
}

TEST_F(BatchJobsTest, JobIsTerminatedOnceAndItsEndIsReported) {
  submit(1);
  remove(1);
  remove(1);
  wait_for("1 removed");
  EXPECT_EQ(events_.count("1 removed, gone"), 0U);
  set("j1", {{"status", "FAILED"}, {"isTerminated", true}, {"statusReason", "Stopped by Metaflow"}});
  wait_for("1 ended: ");
  EXPECT_THAT(terminated(), ElementsAre("j1"));
  EXPECT_TRUE(events_.states[1].end.deliberate);
}

TEST_F(BatchJobsTest, RemovalDuringTheSubmissionTerminatesTheJob) {
  fault("submitjob", {{.body = R"({"jobId":"late"})", .pause = std::chrono::milliseconds(30)}});
  jobs().submit(order_of(1));
  wait_for_call("submitjob");
  remove(1);
  wait_for("1 removed");
  EXPECT_THAT(terminated(), ElementsAre("late"));
}

TEST_F(BatchJobsTest, JobForgottenDuringTheSubmissionIsTerminated) {
  fault("submitjob", {{.body = R"({"jobId":"late"})", .pause = std::chrono::milliseconds(30)}});
  jobs().submit(order_of(1));
  wait_for_call("submitjob");
  remove(1);
  jobs().forget(1);
  end();
  EXPECT_THAT(terminated(), ElementsAre("late"));
  EXPECT_THAT(events_.lines, IsEmpty());
}

TEST_F(BatchJobsTest, OneCallTerminatesAnArray) {
  const std::vector<AttemptId> all{1, 2, 3, 4, 5};
  for (const AttemptId id : all) jobs().submit(order_of(id));
  wait_for(" job j1:", 5);
  jobs().remove(all);
  wait_for(" removed", 5);
  EXPECT_THAT(terminated(), ElementsAre("j1"));
}

// --- missing information

TEST_F(BatchJobsTest, UnknownJobHasEnded) {
  submit(1);
  {
    const std::scoped_lock lock(mutex_);
    lost_.insert("j1");
  }
  wait_for("1 ended: AWS Batch no longer knows the job j1.");
}

TEST_F(BatchJobsTest, MissingPermissionForJobsFailsAttempts) {
  fault("describejobs", std::deque<Reply>(50, refusal(403, "AccessDeniedException", "not authorized")));
  submit(1);
  wait_for("1 no job, hopeless: ");
  EXPECT_THAT(events_.lines.back(), HasSubstr("batch:DescribeJobs"));
  run_until([&] { return !terminated().empty(); });
}

TEST_F(BatchJobsTest, KeptLogIsReadIfTheSupervisorStoredNone) {
  submit(1);
  set("j1", {{"status", "FAILED"}, {"container", {{"exitCode", 127}, {"logStreamName", "d/1"}}}});
  wait_for("1 ended: ");
  std::optional<std::string> failure;
  jobs().read_kept_log(1, [&](const std::string& why) { failure = why; });
  run_until([&] { return failure.has_value(); });
  EXPECT_EQ(*failure, "");
  EXPECT_EQ(events_.lines.back(), "1 log sh: not found\n");
}

TEST_F(BatchJobsTest, JobWithoutAContainerHasNoLog) {
  submit(1);
  std::optional<std::string> failure;
  jobs().read_kept_log(1, [&](const std::string& why) { failure = why; });
  EXPECT_EQ(failure, "");
  EXPECT_EQ(events_.count("log"), 0U);
}

// --- the end

TEST_F(BatchJobsTest, EndWaitsForAllAnswers) {
  submit(1);
  remove(1);
  end();
  EXPECT_THAT(terminated(), SizeIs(1));
}

TEST_F(BatchJobsTest, EndWithoutJobs) { end(); }

}  // namespace
}  // namespace metaflow::awsbatch
