#include "graph/decorators.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace metaflow::graph {
namespace {

using testing::ElementsAre;

const std::vector<std::string> kWith{"retry:times=2", R"(environment:vars={"TOKEN":"hunter2","N":1})"};

TEST(Decorators, TasksAreNotToldSecretsOnTheirCommandLine) {
  EXPECT_THAT(DecoratorTable(core_decorators()).for_tasks(kWith), ElementsAre("retry:times=2"));
}

TEST(Decorators, ReadersSeeTheNamesOfVariablesAlone) {
  const DecoratorTable table(core_decorators());
  const auto shown = table.for_readers(kWith);
  EXPECT_THAT(shown, ElementsAre("retry:times=2", R"(environment:vars={"TOKEN":"***","N":"***"})"));
  EXPECT_EQ(table.for_readers(shown), shown) << "these are options, too";
}

}  // namespace
}  // namespace metaflow::graph
