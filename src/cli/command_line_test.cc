#include "cli/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include <metaflow/error.h>

namespace metaflow::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// The command line: program [--loud] [run] [--size N] [--tag T]... [--[no-]sync] WORDS...
class CommandLine : public testing::Test {
 protected:
  CommandLine() {
    Command run;
    run.name = "run";
    run.help = "Runs it. With more to say.";
    run.options = {
        {.name = "--size", .metavar = "INTEGER", .environment = "TEST_SIZE", .set = store_number("--size", size, 1)},
        {.name = "--tag", .metavar = "TEXT", .environment = "TEST_TAG", .multiple = true, .set = append_text(tags)},
        {.name = "--sync", .off_name = "--no-sync", .environment = "TEST_SYNC", .set = store_flag(sync)},
        {.name = "--mode", .metavar = "[a|b]", .set = store_choice("--mode", mode, {"a", "b"})},
    };
    run.arguments = {{.name = "WORDS", .required = false, .multiple = true, .set = append_text(words)}};
    run.run = [] { return 7; };
    root.options = {{.name = "--loud", .set = store_flag(loud)}};
    root.commands = {run};
  }

  int run_line(const std::vector<std::string>& line) { return execute(root, "program", line, settings); }
  std::string error_of(const std::vector<std::string>& line) {
    try {
      run_line(line);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::usage);
      return error.what();
    }
    return "nothing";
  }

  base::Settings settings;
  Command root;
  std::size_t size = 0;
  std::vector<std::string> tags;
  std::vector<std::string> words;
  bool sync = false;
  bool loud = false;
  std::string mode;
};

TEST_F(CommandLine, OptionsAndArgumentsAreParsed) {
  EXPECT_EQ(run_line({"--loud", "run", "--size", "5", "one", "--tag=x", "--tag", "--y", "--sync", "--", "--two"}), 7);
  EXPECT_TRUE(loud);
  EXPECT_EQ(size, 5U);
  EXPECT_THAT(tags, ElementsAre("x", "--y"));
  EXPECT_THAT(words, ElementsAre("one", "--two"));
  EXPECT_TRUE(sync);
}

TEST_F(CommandLine, EnvironmentSetsOptionsThatAreNotOnTheLine) {
  ::setenv("TEST_SIZE", "3", 1);
  ::setenv("TEST_TAG", "a  b", 1);
  ::setenv("TEST_SYNC", "true", 1);
  run_line({"run", "--no-sync"});
  EXPECT_EQ(size, 3U);
  EXPECT_THAT(tags, ElementsAre("a", "b"));
  EXPECT_FALSE(sync);
  ::setenv("TEST_SIZE", "x", 1);
  EXPECT_THAT(error_of({"run"}), HasSubstr("(from TEST_SIZE)"));
  run_line({"run", "--size", "4"});
  EXPECT_EQ(size, 4U);
  for (const char* name : {"TEST_SIZE", "TEST_TAG", "TEST_SYNC"}) ::unsetenv(name);
}

TEST_F(CommandLine, ErrorsBeginWithTheUsageLine) {
  EXPECT_EQ(error_of({"run", "--sizes", "3"}),
            "Usage: program run [OPTIONS] [WORDS]...\nTry 'program run --help' for help.\n\n"
            "Error: no such option: --sizes  Did you mean --size?");
  EXPECT_THAT(error_of({"rum"}), HasSubstr("No such command 'rum'. Did you mean run?"));
  EXPECT_THAT(error_of({"rnu"}), HasSubstr("No such command 'rnu'. Did you mean run?"));
  EXPECT_THAT(error_of({}), HasSubstr("Missing command."));
  EXPECT_THAT(error_of({"run", "--size"}), HasSubstr("--size option requires an argument"));
  EXPECT_THAT(error_of({"run", "--size", "0"}), HasSubstr("--size"));
  EXPECT_THAT(error_of({"run", "--size", "-1"}), HasSubstr("-1 is smaller than the minimum of 1"));
  EXPECT_THAT(error_of({"run", "--size", "5x"}), HasSubstr("5x"));
  EXPECT_THAT(error_of({"run", "--mode", "c"}), HasSubstr("c"));
  EXPECT_THAT(error_of({"run", "--sync=1"}), HasSubstr("does not take a value"));
  EXPECT_THAT(error_of({"run", "--loud"}), HasSubstr("It goes before the command: program --loud run"));
  EXPECT_THAT(error_of({"--size", "5", "run"}), HasSubstr("It goes after the command: program run --size INTEGER"));
}

TEST_F(CommandLine, AnOptionOfAGroupMayFollowItsCommand) {
  root.options[0] = {
      .name = "--loud", .off_name = "--soft", .environment = "TEST_LOUD", .anywhere = true, .set = store_flag(loud)};
  std::vector<bool> seen;  // by the group's function: it runs once, and knows all options
  root.run = [&] {
    seen.push_back(loud);
    return 0;
  };
  run_line({"run", "--loud"});
  run_line({"--loud", "run", "--soft"});
  EXPECT_THAT(error_of({"run", "--loud", "--size", "0"}), HasSubstr("smaller than the minimum"));
  EXPECT_THAT(seen, ElementsAre(true, false, true));
  EXPECT_THAT(error_of({"run", "--loud=1"}), HasSubstr("--loud option does not take a value"));
  ::setenv("TEST_LOUD", "1", 1);
  run_line({"run"});
  run_line({"run", "--soft"});
  ::unsetenv("TEST_LOUD");
  EXPECT_THAT(seen, ElementsAre(true, false, true, true, true, false));
}

TEST_F(CommandLine, HelpListsCommandsAndOptions) {
  const std::string text = help_text(root, "program");
  EXPECT_THAT(text, HasSubstr("Usage: program [OPTIONS] COMMAND [ARGS]..."));
  EXPECT_THAT(text, HasSubstr("--loud"));
  EXPECT_THAT(text, HasSubstr("Runs it."));
  EXPECT_THAT(help_text(root.commands[0], "program run"), HasSubstr("--sync / --no-sync"));
}

}  // namespace
}  // namespace metaflow::cli
