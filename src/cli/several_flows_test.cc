#include "cli/several_flows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include <metaflow/error.h>

namespace metaflow::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::vector<FlowName> kFlows{{"Train", "Trains."}, {"Score", ""}};

/// The name of the flow and the words of its command line; empty: no flow is named.
std::vector<std::string> named(std::vector<std::string> words) {
  words.insert(words.begin(), "./models");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  const auto flow = find_named_flow(kFlows, static_cast<int>(argv.size()), argv.data());
  if (!flow) return {};
  std::vector<std::string> found{std::string(kFlows[flow->index].name)};
  found.insert(found.end(), flow->argv, flow->argv + flow->argc);
  return found;
}

TEST(SeveralFlows, FirstWordNamesTheFlow) {
  EXPECT_THAT(named({"Score", "run", "--n", "Train"}), ElementsAre("Score", "./models", "run", "--n", "Train"));
  EXPECT_THAT(named({"Train"}), ElementsAre("Train", "./models"));
  EXPECT_THAT(named({"help", "Train", "run"}), ElementsAre("Train", "./models", "help", "run"));
  EXPECT_THAT(named({"man", "Train"}), ElementsAre("Train", "./models", "man"));
  for (const auto& words :
       std::vector<std::vector<std::string>>{{}, {"run"}, {"run", "Train"}, {"--quiet", "Train"}, {"help"}})
    EXPECT_THAT(named(words), ElementsAre());
}

TEST(SeveralFlows, CompletedWordIsNotAFlowYet) {
  EXPECT_THAT(named({"complete", "--", "Train"}), ElementsAre());
  EXPECT_THAT(named({"complete", "--", "Train", ""}), ElementsAre("Train", "./models", "complete", "--", ""));
}

TEST(SeveralFlows, SupervisorKeepsTheNameForItsTask) {
  EXPECT_THAT(named({"supervise", "--grace", "5", "--", "Score", "--quiet"}),
              ElementsAre("Score", "./models", "supervise", "--grace", "5", "--", "Score", "--quiet"));
  EXPECT_THAT(named({"supervise", "--grace", "5"}), ElementsAre());
}

TEST(SeveralFlows, UnknownNameIsAnErrorWithTheKnownOnes) {
  const auto error_of = [](std::vector<std::string> words) -> std::string {
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    try {
      run_without_flow(kFlows, static_cast<int>(argv.size()), argv.data());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::usage);
      return error.what();
    }
    return "none";
  };
  EXPECT_THAT(error_of({"x/models", "Trian", "run"}), HasSubstr("No such flow 'Trian'. Did you mean Train?"));
  EXPECT_THAT(error_of({"models", "help", "Trian"}), HasSubstr("No such flow 'Trian'. Did you mean Train?"));
  EXPECT_THAT(error_of({"models", "man", "Trian"}), Not(HasSubstr("first")));
  EXPECT_THAT(error_of({"x/models", "run"}), HasSubstr("Name the flow first: models Train run"));
  EXPECT_THAT(error_of({"x/models", "--quiet", "run"}), HasSubstr("Name the flow first: models Train --quiet run"));
}

}  // namespace
}  // namespace metaflow::cli
