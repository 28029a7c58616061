#include "graph/decorators.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <metaflow/error.h>

#include "base/format.h"

namespace metaflow::graph {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string refusal_of(const std::string& spec) {
  try {
    DecoratorTable(core_decorators()).parse(spec);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Decorators, TooLargeVariablesAreRejected) {
  auto variables = [](std::size_t count, std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i)
      text += fmt::format(R"({}"V{:02}": "{}")", i == 0 ? "" : ", ", i, std::string(size, 'x'));
    return "environment:vars={" + text + "}";
  };
  EXPECT_EQ(refusal_of(variables(1, 131'067)), "");  // V00= and the terminating zero
  EXPECT_THAT(refusal_of(variables(1, 131'068)),
              HasSubstr("'V00' has 131,068 bytes: with its name Linux passes at most"));
  EXPECT_EQ(refusal_of(variables(48, 131'000)), "");
  EXPECT_THAT(refusal_of(variables(50, 131'000)), HasSubstr("bytes together"));
}

const std::vector<std::string> kWith{"retry:times=2", R"(environment:vars={"TOKEN":"hunter2","N":1})"};

TEST(Decorators, SecretsAreNotOnTheCommandLineOfTasks) {
  EXPECT_THAT(DecoratorTable(core_decorators()).for_tasks(kWith), ElementsAre("retry:times=2"));
}

TEST(Decorators, PublicOptionsHideValuesOfVariables) {
  const DecoratorTable table(core_decorators());
  const auto shown = table.for_readers(kWith);
  EXPECT_THAT(shown, ElementsAre("retry:times=2", R"(environment:vars={"TOKEN":"***","N":"***"})"));
  EXPECT_EQ(table.for_readers(shown), shown) << "without secrets nothing changes";
}

}  // namespace
}  // namespace metaflow::graph
