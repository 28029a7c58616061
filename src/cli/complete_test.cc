#include "cli/complete.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace metaflow::cli {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

/// flow [--root DIRECTORY] (run [--size INTEGER] [--mode [a|b]] [--file FILE] [--tag TEXT]... | dump PATH | help
/// COMMAND... | logs [show PATH | scrub]). Hidden: step.
class Complete : public testing::Test {
 protected:
  Complete() {
    root_.options = {{.name = "--root", .metavar = "TEXT", .kind = ValueKind::directory, .set = store_text(directory_)},
                     {.name = "--old", .hidden = true}};
    Command run{.name = "run", .help = "Runs it. At once."};
    run.options = {{.name = "--size", .metavar = "INTEGER", .help = "How many."},
                   {.name = "--mode", .metavar = "[a|b]"},
                   {.name = "--file", .metavar = "TEXT", .kind = ValueKind::file},
                   {.name = "--sync", .off_name = "--no-sync"},
                   {.name = "--tag", .metavar = "TEXT", .multiple = true}};
    Command dump{.name = "dump", .arguments = {{.name = "PATH", .kind = ValueKind::task}}};
    Command help{.name = "help", .arguments = {{.name = "COMMAND", .kind = ValueKind::command, .multiple = true}}};
    Command show{
        .name = "show", .options = {{.name = "--all"}}, .arguments = {{.name = "PATH", .kind = ValueKind::task}}};
    Command logs{.name = "logs", .commands = {show, {.name = "scrub"}}, .default_command = "show", .forwards = true};
    root_.commands = {run, dump, help, logs, {.name = "step", .hidden = true}};
  }

  Completion whole(const std::vector<std::string>& words) {
    return complete(root_, words, [this](ValueKind, const std::string& word) -> std::vector<Candidate> {
      return {{"latest/"}, {"17/"}, {directory_ + word + "!"}};
    });
  }
  std::vector<std::string> texts(const std::vector<std::string>& words) {
    std::vector<std::string> found;
    for (const Candidate& candidate : whole(words).candidates) found.push_back(candidate.text);
    return found;
  }

  Command root_;
  std::string directory_;
};

TEST_F(Complete, CommandsWithTheirSummary) {
  EXPECT_THAT(texts({""}), ElementsAre("run", "dump", "help", "logs"));
  const Completion found = whole({"ru"});
  ASSERT_EQ(found.candidates.size(), 1U);
  EXPECT_EQ(found.candidates[0].help, "Runs it.");
  EXPECT_THAT(texts({"nosuch", ""}), IsEmpty());
  EXPECT_THAT(texts({}), Not(IsEmpty()));
}

TEST_F(Complete, OptionsThatAreNotGivenYet) {
  EXPECT_THAT(texts({"--"}), ElementsAre("--root", "--help"));
  EXPECT_THAT(texts({"run", "--s"}), ElementsAre("--size", "--sync"));
  EXPECT_THAT(texts({"run", "--size=1", "--no-sync", "--tag", "x", "-"}),
              ElementsAre("--mode", "--file", "--tag", "--help"));
  EXPECT_THAT(texts({"run", ""}), Contains("--size")) << "nothing else can follow";
  EXPECT_THAT(texts({"run", "--", ""}), IsEmpty());
}

TEST_F(Complete, OptionsOfTheProgramThatMayFollowACommand) {
  root_.options.push_back({.name = "--quiet", .off_name = "--not-quiet", .anywhere = true});
  EXPECT_THAT(texts({"dump", "-"}), ElementsAre("--quiet", "--not-quiet", "--help"));
  EXPECT_THAT(texts({"dump", "--not-quiet", "-"}), ElementsAre("--help"));
  EXPECT_THAT(texts({"--"}), ElementsAre("--root", "--quiet", "--not-quiet", "--help"));
}

TEST_F(Complete, ValuesOfOptions) {
  EXPECT_THAT(texts({"run", "--mode", ""}), ElementsAre("a", "b"));
  EXPECT_THAT(texts({"run", "--mode=b"}), ElementsAre("--mode=b"));
  EXPECT_THAT(texts({"run", "--size", ""}), IsEmpty());
  EXPECT_EQ(whole({"run", "--file", "x"}).paths, ValueKind::file);
  EXPECT_EQ(whole({"--root=x"}).paths, ValueKind::directory);
  EXPECT_THAT(texts({"run", "--size", "--mode"}), IsEmpty()) << "it is the value of --size";
}

TEST_F(Complete, ValuesOfArguments) {
  EXPECT_THAT(texts({"dump", "la"}), ElementsAre("latest/", "la!"));
  EXPECT_THAT(texts({"dump", "17/", ""}), Contains("--help")) << "there is one argument";
  EXPECT_THAT(texts({"logs", ""}), ElementsAre("show", "scrub", "latest/", "17/", "!"));
  EXPECT_THAT(texts({"logs", "--a"}), ElementsAre("--all"));
  EXPECT_THAT(texts({"logs", "--all", "s"}), ElementsAre("s!"));
}

TEST_F(Complete, CommandsOfHelp) {
  EXPECT_THAT(texts({"help", "d"}), ElementsAre("dump"));
  EXPECT_THAT(texts({"help", "logs", ""}), ElementsAre("show", "scrub"));
}

TEST_F(Complete, ValuesDependOnOptionsOfTheRoot) {
  EXPECT_THAT(texts({"--root", "la", "dump", "la"}), ElementsAre("latest/", "lala!"));
}

}  // namespace
}  // namespace metaflow::cli
