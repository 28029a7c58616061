#include "compute/batch/run_jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <metaflow/error.h>

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

class RunJobsTest : public net::AwsTest {
 protected:
  RunJobsTest() {
    handler_ = [this](const Received& request) -> std::optional<Reply> {
      const Json asked = Json::parse(request.body);
      Json found = Json::array();
      if (request.target == "/v1/listjobs") {
        for (const auto& [id, job] : jobs_) {
          if (!asked.contains("jobStatus") || asked["jobStatus"] == job["status"])
            found.push_back({{"jobId", id}, {"jobName", "n"}, {"status", job["status"]}});
        }
        return Reply{.body = Json{{"jobSummaryList", found}}.dump()};
      }
      if (request.target == "/v1/describejobs") {
        for (const Json& id : asked["jobs"]) {
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
    jobs_[id] = {{"jobId", id}, {"jobName", "n"}, {"status", status}, {"parameters", of}};
  }
  std::vector<std::string> ids(const RunSelection& which) {
    std::vector<std::string> found;
    for (const Job& job : unfinished_jobs(api_, loop_, "q", which)) found.push_back(job.id);
    return found;
  }

  std::map<std::string, Json> jobs_;
  BatchApi api_{loop_, clock_, session(), BatchApiOptions{.limits = quick(), .settling = 1000}, random_};
};

TEST_F(RunJobsTest, ByRunStepAndTask) {
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

TEST_F(RunJobsTest, OfOneRunByName) {
  add("a", "9", "work", "10");
  add("b", "9", "work", "11", "FAILED");
  EXPECT_THAT(ids({.run_key = "0123"}), ElementsAre("a"));
  EXPECT_THAT(requests()[0], HasSubstr(job_prefix("0123") + "*"));
}

TEST_F(RunJobsTest, EndsThemAll) {
  add("a", "9", "work", "10");
  add("b", "9", "work", "11");
  const auto jobs = unfinished_jobs(api_, loop_, "q", {});
  const std::size_t before = requests().size();
  end_jobs(api_, loop_, jobs, "enough");
  auto asked = requests();
  asked.erase(asked.begin(), asked.begin() + static_cast<std::ptrdiff_t>(before));
  EXPECT_EQ(asked.size(), 2u);
  EXPECT_THAT(asked, Each(HasSubstr(R"("reason":"enough")")));
}

TEST_F(RunJobsTest, WhoMayNotIsTold) {
  add("a", "9", "work", "10");
  const auto jobs = unfinished_jobs(api_, loop_, "q", {});
  handler_ = nullptr;
  answers({refusal(403, "AccessDeniedException", "not authorized to perform: batch:TerminateJob")});
  try {
    end_jobs(api_, loop_, jobs, "enough");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::batch);
    EXPECT_THAT(error.what(), HasSubstr("batch:TerminateJob"));
  }
  EXPECT_THROW(unfinished_jobs(api_, loop_, "q", {}), Error);
}

}  // namespace
}  // namespace metaflow::awsbatch
