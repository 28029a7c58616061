#include "compute/batch/run_jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <metaflow/error.h>

#include "base/json.h"
#include "compute/batch/job_request.h"
#include "net/aws_testing.h"

namespace metaflow::awsbatch {
namespace {

using net::Received;
using net::Reply;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class RunJobsTest : public net::AwsTest {
 protected:
  RunJobsTest() {
    handler_ = [this](const Received& request) -> std::optional<Reply> {
      const Json asked = Json::parse_or_throw(request.body);
      Json found = Json::list();
      if (request.target == "/v1/listjobs") {
        const std::string array = asked["arrayJobId"].text();
        for (const auto& [id, job] : jobs_) {
          if (array_of(id) != array) continue;
          if (!asked.contains("jobStatus") || asked["jobStatus"] == job["status"])
            found.push_back({{"jobId", id}, {"jobName", "n"}, {"status", job["status"]}});
        }
        return Reply{.body = Json{{"jobSummaryList", found}}.dump()};
      }
      if (request.target == "/v1/describejobs") {
        for (const std::string& id : asked["jobs"].texts()) {
          if (jobs_.contains(id)) found.push_back(jobs_.at(id));
        }
        return Reply{.body = Json{{"jobs", found}}.dump()};
      }
      return std::nullopt;
    };
  }
  void add(const std::string& id, const std::string& run, const std::string& step, const std::string& task,
           const std::string& status = "RUNNING") {
    const Json of{{kFlowParameter, "Sweep"},
                  {kRunParameter, run},
                  {kStepParameter, step},
                  {kTaskParameter, task},
                  {kUserParameter, "ada"}};
    jobs_[id] = Json{{"jobId", id}, {"jobName", "n"}, {"status", status}, {"parameters", of}};
  }
  std::vector<std::string> ids(const RunSelection& which) {
    std::vector<std::string> found;
    for (const Job& job : unfinished_jobs(api_, loop_, "q", which)) found.push_back(job.id);
    return found;
  }

  std::map<std::string, Json> jobs_;
  BatchApi api_{loop_, clock_, session(), BatchApiOptions{.limits = quick(), .settling = 1000}, random_};
};

TEST_F(RunJobsTest, JobsAreSortedByRunStepAndTask) {
  add("a", "9", "work", "10");
  add("b", "9", "work", "9", "STARTING");
  add("c", "8", "work", "30", "RUNNABLE");
  add("d", "9", "end", "40", "SUBMITTED");
  add("e", "9", "work", "11", "SUCCEEDED");
  EXPECT_THAT(ids({}), ElementsAre("c", "d", "b", "a"));
  EXPECT_THAT(ids({.run = "8"}), ElementsAre("c"));
  EXPECT_THAT(ids({.flow = "Sweep", .run = "9", .user = "ada"}), ElementsAre("d", "b", "a"));
  EXPECT_THAT(ids({.user = "eve"}), IsEmpty());
}

TEST_F(RunJobsTest, JobsOfARunAreFoundByName) {
  add("a", "9", "work", "10");
  add("b", "9", "work", "11", "FAILED");
  EXPECT_THAT(ids({.run_key = "0123"}), ElementsAre("a"));
  EXPECT_THAT(requests()[0], HasSubstr(job_prefix("0123") + "*"));
}

TEST_F(RunJobsTest, EndsThemAll) {
  add("a", "9", "work", "10");
  add("b", "9", "work", "11");
  const auto jobs = ids({});
  const std::size_t before = requests().size();
  end_jobs(api_, loop_, jobs, "enough");
  auto asked = requests();
  asked.erase(asked.begin(), asked.begin() + static_cast<std::ptrdiff_t>(before));
  EXPECT_EQ(asked.size(), 2u);
  EXPECT_THAT(asked, Each(HasSubstr(R"("reason":"enough")")));
}

class RunArraysTest : public RunJobsTest {
 protected:
  /// Of tasks 5, 6, 7 and 9, with children in these states.
  void add_array(const std::vector<std::string>& states) {
    Json counts = Json::object();
    for (std::size_t i = 0; i < states.size(); ++i) {
      add(child_of("p", i), "9", "work", "5-7,9", states[i]);
      counts.set(states[i], counts.get(states[i], 0) + 1);
    }
    add("p", "9", "work", "5-7,9", "PENDING");
    jobs_["p"].set("arrayProperties", {{"size", states.size()}, {"statusSummary", counts}});
  }
  /// The jobs that this ends.
  std::vector<std::string> ended(const std::vector<std::string>& jobs) {
    const std::size_t before = requests().size();
    end_jobs(api_, loop_, jobs, "enough");
    std::vector<std::string> ids;
    for (std::size_t i = before; i < requests().size(); ++i) {
      const Received request = server_.received()[i];
      if (request.target == "/v1/terminatejob") ids.push_back(Json::parse_or_throw(request.body)["jobId"].text());
    }
    return ids;
  }
};

TEST_F(RunArraysTest, ChildrenAreListedWithTheirTasks) {
  add("a", "9", "end", "10");
  add_array({"SUCCEEDED", "RUNNING", "RUNNABLE", "STARTING"});
  std::vector<std::string> tasks;
  for (const RunSelection& which : {RunSelection{}, RunSelection{.run_key = "0123"}}) {
    const auto jobs = unfinished_jobs(api_, loop_, "q", which);
    tasks.clear();
    for (const Job& job : jobs) tasks.push_back(job.id + " " + job.parameters.at(kTaskParameter));
    EXPECT_THAT(tasks, ElementsAre("a 10", "p:1 6", "p:2 7", "p:3 9"));
  }
  EXPECT_THAT(ids({.run = "8"}), IsEmpty());
}

TEST_F(RunArraysTest, OneCallEndsAWholeArray) {
  add_array({"SUCCEEDED", "RUNNING", "RUNNABLE", "STARTING"});
  add("a", "9", "end", "10");
  EXPECT_THAT(ended(ids({})), UnorderedElementsAre("p", "a"));
}

TEST_F(RunArraysTest, ChildrenEndWhileOthersGoOn) {
  add_array({"SUCCEEDED", "RUNNING", "RUNNABLE", "STARTING"});
  auto jobs = ids({});
  jobs.erase(jobs.begin());
  EXPECT_THAT(ended(jobs), UnorderedElementsAre("p:2", "p:3"));
}

TEST_F(RunJobsTest, MissingPermissionIsAnError) {
  add("a", "9", "work", "10");
  const auto jobs = ids({});
  handler_ = nullptr;
  answers({refusal(403, "AccessDeniedException", "not authorized to perform: batch:TerminateJob")});
  try {
    end_jobs(api_, loop_, jobs, "enough");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::platform);
    EXPECT_THAT(error.what(), HasSubstr("batch:TerminateJob"));
  }
  EXPECT_THROW(unfinished_jobs(api_, loop_, "q", {}), Error);
}

}  // namespace
}  // namespace metaflow::awsbatch
