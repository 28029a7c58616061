#include "compute/batch/client/log_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/aws_testing.h"

namespace metaflow::awsbatch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class LogApiTest : public net::AwsTest {
 protected:
  LogApi::End read(std::uint64_t most = 1000) {
    if (!api_) api_.emplace(loop_, clock_, session(), LogApiOptions{.limits = quick()}, random_);
    std::optional<LogApi::End> end;
    lines_.clear();
    api_->read(
        kLogGroup, "d/default/1", most, [this](std::string_view line) { lines_.emplace_back(line); },
        [&](LogApi::End&& given) { end = std::move(given); });
    run_until([&] { return end.has_value(); });
    return std::move(*end);
  }

  std::vector<std::string> lines_;
  std::optional<LogApi> api_;
};

TEST_F(LogApiTest, ReadsUntilTheTokenRepeats) {
  answers({{.body = R"({"events":[{"timestamp":1,"message":"a"},{"message":"b"}],"nextForwardToken":"f/1"})"},
           {.body = R"({"events":[],"nextForwardToken":"f/2"})"},
           {.body = R"({"events":[{"message":"c"},7],"nextForwardToken":"f/3"})"},
           {.body = R"({"events":[],"nextForwardToken":"f/3"})"}});
  const LogApi::End end = read();
  EXPECT_FALSE(end.failure);
  EXPECT_TRUE(end.found);
  EXPECT_THAT(lines_, ElementsAre("a", "b", "c"));
  EXPECT_THAT(requests(), SizeIs(4));
  const net::Received request = server_.received().at(1);
  EXPECT_EQ(request.headers.at("x-amz-target"), "Logs_20140328.GetLogEvents");
  EXPECT_EQ(request.headers.at("content-type"), "application/x-amz-json-1.1");
  EXPECT_THAT(request.headers.at("authorization"), HasSubstr("/eu-west-1/logs/aws4_request"));
  EXPECT_EQ(request.body, R"({"logGroupName":"/aws/batch/job","logStreamName":"d/default/1","startFromHead":true,)"
                          R"("nextToken":"f/1"})");
}

TEST_F(LogApiTest, NoStream) {
  answers({{.status = 400, .body = R"({"__type":"ResourceNotFoundException","message":"no such stream"})"}});
  const LogApi::End end = read();
  EXPECT_FALSE(end.failure);
  EXPECT_FALSE(end.found);
  EXPECT_THAT(lines_, IsEmpty());
}

TEST_F(LogApiTest, NotAllowed) {
  answers({refusal(400, "AccessDeniedException", "not authorized")});
  EXPECT_THAT(read().failure->text, HasSubstr("not authorized"));
}

TEST_F(LogApiTest, LongStreamIsTruncated) {
  answers({{.body = R"({"events":[{"message":"1234"},{"message":"1234"},{"message":"1"}],"nextForwardToken":"f/1"})"}});
  EXPECT_TRUE(read(10).truncated);
  EXPECT_THAT(lines_, ElementsAre("1234", "1234"));
}

}  // namespace
}  // namespace metaflow::awsbatch
