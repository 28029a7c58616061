#include "cli/manual.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace metaflow::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Manual, PageHasTheTextOfTheTable) {
  Command command{.name = "run", .help = "Runs it. It's done in C:\\work.\n.hidden request"};
  command.options = {{.name = "--size",
                      .metavar = "INTEGER",
                      .help = "How many",
                      .shown_default = "5",
                      .environment = "METAFLOW_RUN_SIZE"},
                     {.name = "--secret", .help = "Never shown.", .hidden = true}};
  command.arguments = {{.name = "STEP", .required = false}};
  command.examples = {{"--size 3", "Runs three."}};
  const std::string page = manual_page(command, "./my flow run", "Flow");
  EXPECT_THAT(page, HasSubstr("\\- Runs it\n"));
  EXPECT_THAT(page, HasSubstr("It\\(aqs done in C:\\ework."));
  EXPECT_THAT(page, HasSubstr("\n\\&.hidden request\n")) << "text is not a request of roff";
  EXPECT_THAT(page, HasSubstr("\\fB\\-\\-size\\fR \\fIINTEGER\\fR\nHow many. Default: 5.\n"));
  EXPECT_THAT(page, HasSubstr("\\fBMETAFLOW_RUN_SIZE\\fR"));
  EXPECT_THAT(page, HasSubstr("[\\fISTEP\\fR]"));
  EXPECT_THAT(page, HasSubstr("run \\-\\-size 3\\fR\nRuns three.\n"));
  EXPECT_THAT(page, HasSubstr(".SH EXIT STATUS\n.TP\n\\fB0\\fR\n"));
  EXPECT_THAT(page, Not(HasSubstr("secret")));
}

}  // namespace
}  // namespace metaflow::cli
