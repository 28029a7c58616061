#include "store/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include <metaflow/error.h>

#include "base/failure_points.h"
#include "base/testing.h"

namespace metaflow::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class JournalTest : public testing::Test {
 protected:
  JournalTest() {
    std::string name = testing::TempDir() + "journal_XXXXXX";
    directory_ = ::mkdtemp(name.data());
    path_ = directory_ + "/journal.jsonl";
  }
  ~JournalTest() override { std::filesystem::remove_all(directory_); }

  /// A run of two tasks, the second of which fails.
  void write() {
    Journal journal(path_, clock_);
    journal.run_begins(100, {"resume", "16", "host", 4711, 8, "user:me", {"retry"}, {"a", "b \"c\""}, "user.me"});
    journal.expect(101, "work", 2);
    journal.expect(102, "work", 1);
    journal.cloned(103, {"17", "start", "1"}, {"16", "start", "9"});
    journal.attempt_begins(110, {{"17", "work", "2"}, 0, false, "pid 5", "17/start/1", 3, "17/start/1", ""});
    journal.attempt_begins(111, {{"17", "work", "3"}, 1, true, "pid 6", "", {}, "", ""});
    journal.attempt_ends(120, {"17", "work", "2"}, 0, AttemptEnd::done, {1000, 0.25, 7, 8}, "");
    journal.attempt_ends(121, {"17", "work", "3"}, 1, AttemptEnd::failed, {}, "it \"threw\"\n\\");
    journal.run_ends(130, RunEnd::failed, "Step work failed.");
    journal.flush();
  }
  std::string text() { return std::string(base::read_file(path_)->text()); }
  RunHistory read() { return *read_journal(path_, "17"); }

  base::FakeClock clock_;
  std::string directory_;
  std::string path_;
};

TEST_F(JournalTest, DamagedLinesAreCounted) {
  write();
  std::string whole = text();
  const std::size_t second = whole.find('\n') + 1;
  std::fill_n(whole.begin() + static_cast<std::ptrdiff_t>(second), 10, '\0');  // a power loss
  whole.resize(whole.size() - 5);
  base::replace_file(path_, whole);
  const RunHistory history = read();
  EXPECT_EQ(history.damaged_lines, 2);
  EXPECT_EQ(history.steps.at("work").expected, 1);
  EXPECT_EQ(history.how, RunEnd::none);
}

TEST_F(JournalTest, UndamagedJournalHasNoDamagedLines) {
  write();
  EXPECT_EQ(read().damaged_lines, 0);
}

TEST_F(JournalTest, HoleIsOneDamagedLineWhateverItsSize) {
  write();
  std::filesystem::resize_file(path_, 70U << 20U);
  {
    Journal journal(path_, clock_);
    journal.run_ends(140, RunEnd::interrupted, "");  // behind the hole, on its line
    journal.run_ends(150, RunEnd::done, "");
    journal.flush();
  }
  const RunHistory history = read();
  EXPECT_EQ(history.damaged_lines, 1);
  EXPECT_EQ(history.how, RunEnd::done);
}

TEST_F(JournalTest, TimesAreThoseOfAnEvenClock) {
  struct JumpingClock : base::FakeClock {
    std::int64_t wall_microseconds() override { return now + jump; }
    std::int64_t jump = 5;
  } clock;
  Journal journal(path_, clock);
  const std::int64_t before = journal.now();
  EXPECT_EQ(before, clock.now + 5);
  clock.now += 1000;
  clock.jump = -3'600'000'000;
  EXPECT_EQ(journal.now() - before, 1000);
}

TEST_F(JournalTest, ImpossibleTimesAreIgnored) {
  const std::string lines = R"({"e":"run","t":9223372036854775807})"
                            "\n"
                            R"({"e":"run","t":-9223372036854775808})"
                            "\n";
  EXPECT_EQ(parse_journal(lines, "17").began, 0);
}

TEST_F(JournalTest, OptionsWithSecretsAreReadableByTheUserOnly) {
  const std::vector<std::string> with{R"(environment:vars={"TOKEN":"hunter2"})", "retry"};
  const std::string path = private_with_path(directory_, "F", "17");
  write_private_with(path, with);
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0600));
  EXPECT_EQ(parse_private_with(base::read_file(path)->text()), with);
  for (const char* damaged : {"", "{}", R"({"with": 1})", "[]"}) EXPECT_FALSE(parse_private_with(damaged));
}

TEST_F(JournalTest, RoundTrip) {
  write();
  const RunHistory history = read();
  EXPECT_EQ(history.begin.command, "resume");
  EXPECT_EQ(history.begin.origin, "16");
  EXPECT_EQ(history.begin.pid, 4711);
  EXPECT_EQ(history.begin.max_workers, 8U);
  EXPECT_THAT(history.begin.with, ElementsAre("retry"));
  EXPECT_THAT(history.begin.tags, ElementsAre("a", "b \"c\""));
  EXPECT_EQ(history.begin.branch, "user.me");
  EXPECT_EQ(history.began, 100);
  EXPECT_EQ(history.ended, 130);
  EXPECT_EQ(history.how, RunEnd::failed);
  EXPECT_EQ(history.why, "Step work failed.");
  EXPECT_EQ(history.steps.at("work").expected, 3U);
  ASSERT_EQ(history.clones.size(), 1U);
  EXPECT_EQ(history.clones[0].task, (TaskRef{"17", "start", "1"}));
  EXPECT_EQ(history.clones[0].from, (TaskRef{"16", "start", "9"}));
  ASSERT_EQ(history.attempts.size(), 2U);
  const AttemptHistory& first = history.attempts[0];
  EXPECT_EQ(first.task, (TaskRef{"17", "work", "2"}));
  EXPECT_EQ(first.where, "pid 5");
  EXPECT_EQ(first.inputs, "17/start/1");
  EXPECT_EQ(first.index, 3U);
  EXPECT_EQ(first.split, "17/start/1");
  EXPECT_EQ(first.began, 110);
  EXPECT_EQ(first.ended, 120);
  EXPECT_EQ(first.how, AttemptEnd::done);
  EXPECT_EQ(first.usage.peak_memory, 1000U);
  EXPECT_EQ(first.usage.cpu_seconds, 0.25);
  EXPECT_EQ(first.usage.read, 7U);
  EXPECT_EQ(first.usage.written, 8U);
  const AttemptHistory& second = history.attempts[1];
  EXPECT_TRUE(second.fallback);
  EXPECT_EQ(second.attempt, 1);
  EXPECT_FALSE(second.index);
  EXPECT_EQ(second.how, AttemptEnd::failed);
  EXPECT_EQ(second.cause, "it \"threw\"\n\\");
}

TEST_F(JournalTest, LastAttemptOfATaskCounts) {
  const TaskRef task{"17", "work", "2"};
  Journal journal(path_, clock_);
  JournalReader reader(path_, "17");
  EXPECT_FALSE(reader.read());
  journal.run_begins(100, {});
  journal.attempt_begins(101, {task, 0, false, "", "", {}, "", "south"});
  journal.flush();
  EXPECT_TRUE(reader.read());
  EXPECT_FALSE(reader.read()) << "nothing was added";
  const StepHistory& step = reader.history().steps.at("work");
  EXPECT_EQ(step.running, 1U);
  EXPECT_EQ(reader.history().attempts.at(*reader.history().running.begin()).label, "south");

  journal.attempt_ends(102, task, 0, AttemptEnd::failed, {10, 1, 0, 0}, "it threw");
  journal.flush();
  EXPECT_TRUE(reader.read());
  EXPECT_EQ(step.failed, 1U);
  EXPECT_EQ(reader.history().failed.size(), 1U);

  journal.attempt_begins(103, {task, 1, false, "", "", {}, "", ""});
  journal.attempt_begins(104, {{"17", "work", "3"}, 0, false, "", "", {}, "", ""});
  journal.attempt_ends(105, task, 1, AttemptEnd::done, {20, 1, 0, 0}, "", true);
  journal.attempt_ends(106, {"17", "work", "3"}, 0, AttemptEnd::stopped, {}, "");
  journal.flush();
  EXPECT_TRUE(reader.read());
  EXPECT_EQ(step.done, 1U);
  EXPECT_EQ(step.caught, 1U);
  EXPECT_EQ(step.retried, 1U);
  EXPECT_EQ(step.stopped, 1U);
  EXPECT_EQ(step.failed + step.running, 0U);
  EXPECT_EQ(step.attempts_failed, 1U);
  EXPECT_EQ(step.peak_memory, 20U);
  EXPECT_TRUE(reader.history().running.empty() && reader.history().failed.empty());
}

TEST_F(JournalTest, MissingJournal) { EXPECT_FALSE(read_journal(path_, "17")); }

TEST_F(JournalTest, TruncatedJournalKeepsTheCompleteLines) {
  write();
  const std::string whole = text();
  std::size_t attempts = 0;
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    base::replace_file(path_, whole.substr(0, size));
    const RunHistory history = read();
    EXPECT_GE(history.attempts.size(), attempts) << size;
    attempts = history.attempts.size();
    const bool over = size == whole.size();
    EXPECT_EQ(history.how, over ? RunEnd::failed : RunEnd::none) << size;
  }
  EXPECT_EQ(attempts, 2U);
}

TEST_F(JournalTest, LineAfterATruncatedOneIsRead) {
  write();
  const std::string whole = text();
  const std::size_t line = whole.find("\"e\":\"expect\"");
  base::replace_file(path_, whole.substr(0, line) + "\n" + whole.substr(whole.find('\n', line) + 1));
  EXPECT_EQ(read().steps.at("work").expected, 1U);
  EXPECT_EQ(read().attempts.size(), 2U);
}

TEST_F(JournalTest, DamagedLinesAreSkipped) {
  write();
  const std::string whole = text();
  for (const std::string& damage :
       {std::string("\n"), std::string("null\n"), std::string("[1]\n"), std::string("{}\n"),
        std::string(400, '\0') + "\n", std::string(R"({"e":"start","t":"x"})") + "\n",
        std::string(R"({"e":"start","t":1,"task":5,"n":0})") + "\n",
        std::string(R"({"e":"end","t":1,"task":"unknown/1","n":0,"how":"done"})") + "\n",
        std::string(R"({"e":"of a version to come","t":1})") + "\n", std::string(100'000, '[') + "\n"}) {
    base::replace_file(path_, damage + whole);
    EXPECT_EQ(read().attempts.size(), 2U) << damage.substr(0, 50);
    EXPECT_EQ(read().how, RunEnd::failed);
  }
}

TEST_F(JournalTest, LinesWithInvalidNamesAreSkipped) {
  write();
  const std::string whole = text();
  for (const std::string task :
       {"../../x/1", "work/../1", "work", "work/", "/1", "work/1/2", "a\\u001b[2J/1", "--with/1"}) {
    base::replace_file(path_, whole + R"({"e":"start","t":1,"task":")" + task + R"(","n":0})" + "\n" +
                                  R"({"e":"clone","t":1,"task":")" + task + R"(","from":"16/start/9"})" + "\n" +
                                  R"({"e":"clone","t":1,"task":"work/7","from":"16/)" + task + R"("})" + "\n");
    EXPECT_EQ(read().attempts.size(), 2U) << task;
    EXPECT_EQ(read().clones.size(), 1U) << task;
  }
  base::replace_file(path_, whole + R"({"e":"start","t":1,"task":"work/7","n":0,"split":"../x"})" + "\n" +
                                R"({"e":"expect","t":1,"step":"../work","n":1})" + "\n" +
                                R"({"e":"run","t":1,"origin":"../16"})" + "\n");
  EXPECT_EQ(read().attempts.size(), 2U);
  EXPECT_EQ(read().steps.size(), 2U) << "start and work";
  EXPECT_EQ(read().begin.origin, "16") << "the line that begins a run is checked, too";
}

TEST_F(JournalTest, JournalIsContinued) {
  write();
  Journal journal(path_, clock_);
  journal.expect(200, "work", 5);
  journal.flush();
  journal.flush();
  EXPECT_EQ(read().steps.at("work").expected, 8U);
}

TEST_F(JournalTest, WriteErrorNamesTheJournal) {
  Journal journal(path_, clock_);
  journal.expect(1, "work", 1);
  base::set_failure_point("append:ENOSPC:2");
  try {
    journal.flush();
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::data_store);
    EXPECT_THAT(error.what(), HasSubstr("journal.jsonl': No space left on device"));
  }
  base::set_failure_point("");
}

}  // namespace
}  // namespace metaflow::store
