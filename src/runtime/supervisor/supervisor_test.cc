#include "runtime/supervisor/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/text.h"
#include "compute/package/bootstrap.h"
#include "runtime/task/exit_status.h"
#include "store/local/local_storage.h"

namespace metaflow::runtime {
namespace {

using testing::HasSubstr;

/// A shell script as the step, in a store of its own.
class Supervise : public testing::Test {
 protected:
  Supervise() {
    std::string name = (std::filesystem::temp_directory_path() / "supervise-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    what_.command = {"/bin/sh"};
    what_.environment = {"PATH=/usr/bin:/bin", "D=" + directory_};
    what_.arguments.run = "1";
    what_.arguments.step = "work";
    what_.arguments.task = "7";
    what_.open = [this] {
      return std::make_unique<store::FlowStore>(std::make_shared<store::LocalStorage>(directory_), "F");
    };
  }
  ~Supervise() override { std::filesystem::remove_all(directory_); }

  int run(const std::string& text) {
    what_.step = {"-c", text};
    base::SystemClock clock;
    return supervise(what_, clock);
  }
  store::ExitReport report() { return *what_.open()->read_exit_report(kTask, what_.arguments.retry_count); }

  const store::TaskRef kTask{"1", "work", "7"};
  std::string directory_;
  Supervision what_;
};

/// Writes the data.json of a step that has succeeded.
constexpr const char* kData =
    R"(mkdir -p "$D/F/1/work/7"; echo '{"objects": {}, "info": {}, "cpp": {"ok": true, "next": []}}' >"$D/F/1/work/7/0.data.json"; )";

TEST_F(Supervise, CommitsAStepThatSucceeded) {
  EXPECT_EQ(run(std::string(kData) + "echo said"), kTaskSucceeded);
  EXPECT_TRUE(what_.open()->is_done(kTask, 0));
  EXPECT_TRUE(report().committed);
}

TEST_F(Supervise, DoesNotCommitAStepThatDied) {
  EXPECT_EQ(run(std::string(kData) + "kill -SEGV $$"), 128 + SIGSEGV);
  EXPECT_FALSE(what_.open()->is_done(kTask, 0));
  EXPECT_EQ(report().signal, SIGSEGV);
  EXPECT_EQ(report().stage, store::Stage::step);
}

TEST_F(Supervise, MissingProgram) {
  what_.command = {directory_ + "/nothing"};
  EXPECT_EQ(run(""), compute::kStoreFailed);
  EXPECT_EQ(report().stage, store::Stage::bootstrap);
  EXPECT_THAT(report().cause, HasSubstr("Cannot start the attempt"));
}

TEST_F(Supervise, OomKillsAreReadFromTheControlGroup) {
  base::replace_file(directory_ + "/memory.events", "low 0\noom 3\noom_kill 2\n");
  base::replace_file(directory_ + "/memory.peak", "123456789\n");
  base::replace_file(directory_ + "/memory.max", "130000000\n");
  what_.memory = base::MemoryGroupPath{directory_, true};
  EXPECT_EQ(run("printf 'oom_kill 3\\n' >\"$D/memory.events\"; kill -KILL $$"), 128 + SIGKILL);
  EXPECT_EQ(report().oom_kills, 1U) << "OOM kills of an earlier container in this group do not count";
  EXPECT_GE(report().usage.peak_memory, 123456789U);
  EXPECT_THAT(report().cause, HasSubstr("ran out of memory: limit 130.0 MB (resources)"));
}

TEST_F(Supervise, KillWithoutOom) {
  base::replace_file(directory_ + "/memory.events", "oom_kill 2\n");
  what_.memory = base::MemoryGroupPath{directory_, true};
  run("kill -KILL $$");
  EXPECT_EQ(report().oom_kills, 0U);
  EXPECT_THAT(report().cause, HasSubstr("SIGKILL"));
}

TEST_F(Supervise, OrphanOfTheStepIsKilled) {
  EXPECT_EQ(run(std::string(kData) + "(setsid sleep 1000 & echo $! >\"$D/pid\")"), kTaskSucceeded);
  const int pid = std::atoi(std::string(base::read_file(directory_ + "/pid")->text()).c_str());
  ASSERT_GT(pid, 0);
  EXPECT_NE(::kill(pid, 0), 0);
}

TEST_F(Supervise, SignalsArePassedOn) {
  EXPECT_EQ(run("trap 'exit 5' TERM; kill -TERM $PPID; while :; do sleep 0.01; done"), 5);
  EXPECT_EQ(report().stopped_by, SIGTERM);
  EXPECT_EQ(run("trap 'exit 6' USR1; kill -USR1 $PPID; while :; do sleep 0.01; done"), 6);
  EXPECT_EQ(report().stopped_by, 0);
}

}  // namespace
}  // namespace metaflow::runtime
