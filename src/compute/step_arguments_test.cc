#include "compute/step_arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <metaflow/error.h>

namespace metaflow::compute {
namespace {

using testing::HasSubstr;

StepArguments parse(std::vector<std::string> words) {
  words.insert(words.begin(), "flow");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  return parse_step_arguments(static_cast<int>(argv.size()), argv.data());
}

TEST(StepArguments, RoundTrip) {
  StepArguments a;
  a.datastore_root = "/tmp/with space/.metaflow";
  a.with = {"resources:cpu=2", "environment:vars={\"A\": \"--tag\"}"};
  a.step = "join";
  a.run = "17";
  a.task = "4";
  a.inputs = {{"17", "a", "2"}, {"17", "b", "3"}};
  a.split = "17/start/1";
  a.split_index = 0;
  a.retry_count = 1;
  a.max_user_code_retries = 3;
  a.name_space = "";
  a.origin_run_id = "16";
  a.tags = {"x:1", "--odd"};
  const StepArguments b = parse(to_command_line(a));
  EXPECT_EQ(b.datastore, "local");
  EXPECT_EQ(b.datastore_root, a.datastore_root);
  EXPECT_EQ(b.with, a.with);
  EXPECT_EQ(b.step, "join");
  EXPECT_EQ(b.run, "17");
  EXPECT_EQ(b.task, "4");
  ASSERT_EQ(b.inputs.size(), 2U);
  EXPECT_EQ(b.inputs[1].path(), "17/b/3");
  EXPECT_EQ(b.split, a.split);
  EXPECT_EQ(b.split_index, 0U);
  EXPECT_EQ(b.retry_count, 1);
  EXPECT_EQ(b.max_user_code_retries, 3);
  EXPECT_EQ(b.origin_run_id, "16");
  EXPECT_EQ(b.tags, a.tags);
  EXPECT_FALSE(b.inputs_stored);
  EXPECT_EQ(b.flow, "");
  a.inputs_stored = true;
  a.flow = "step";  // a valid name, and the command
  const StepArguments c = parse(to_command_line(a));
  EXPECT_TRUE(c.inputs_stored && c.inputs.empty());
  EXPECT_EQ(c.flow, "step");
  EXPECT_EQ(c.step, "join");
}

TEST(StepArguments, InputsOfOneStepArePacked) {
  const std::vector<store::TaskRef> inputs{{"17", "work", "2"}, {"17", "work", "3"}};
  EXPECT_EQ(pack_inputs(inputs), "17/work/:2,3");
  const auto again = unpack_inputs("17/work/:2,3");
  ASSERT_EQ(again.size(), 2U);
  EXPECT_EQ(again[1].path(), "17/work/3");
  EXPECT_TRUE(unpack_inputs("").empty());
}

TEST(StepArguments, InvalidArgumentsAreNamed) {
  const auto words_of = [](const std::vector<std::string>& words) -> std::string {
    try {
      parse(words);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::usage);
      return error.what();
    }
    return "nothing";
  };
  EXPECT_THAT(words_of({"step"}), HasSubstr("STEP_NAME"));
  EXPECT_THAT(words_of({"step", "a", "--task-id", "1"}), HasSubstr("--run-id"));
  EXPECT_THAT(words_of({"step", "a", "--run-id", "../1", "--task-id", "1"}), HasSubstr("--run-id"));
  EXPECT_THAT(words_of({"step", "a", "--run-id", "1", "--task-id", "1"}), HasSubstr("--datastore-root"));
  const std::vector<std::string> good{"step", "a", "--run-id", "1", "--task-id", "1", "--datastore-root", "/r"};
  const auto with = [&](const std::string& option, const std::string& value) {
    std::vector<std::string> words = good;
    words.insert(words.end(), {option, value});
    return words_of(words);
  };
  EXPECT_EQ(words_of(good), "nothing");
  EXPECT_THAT(with("--origin-run-id", "../1"), HasSubstr("'../1' is not the id of a run"));
  EXPECT_THAT(with("--split-path", "17/../1"), HasSubstr("'17/../1' is not RUN/STEP/TASK"));
  EXPECT_THAT(words_of({"step", "a", "b"}), HasSubstr("unexpected extra argument (b)"));
  EXPECT_THAT(words_of({"step", "a", "--split-index", "x"}), HasSubstr("x is not a valid integer"));
  EXPECT_THAT(words_of({"step", "a", "--input-paths", "17/a"}), HasSubstr("'17/a' is not RUN/STEP/TASK"));
  EXPECT_THAT(words_of({"step", "a", "--nonsense", "1"}), HasSubstr("no such option: --nonsense"));
  EXPECT_THAT(words_of({"step", "a", "--tag"}), HasSubstr("--tag option requires an argument"));
}

}  // namespace
}  // namespace metaflow::compute
