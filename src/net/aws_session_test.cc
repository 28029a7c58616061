#include "net/aws_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <metaflow/error.h>

#include "net/aws_testing.h"

namespace metaflow::net {
namespace {

using testing::HasSubstr;

class AwsSessionTest : public AwsTest {
 protected:
  std::string message_of(const std::function<void()>& what) {
    try {
      what();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_command);
      return error.what();
    }
    return "nothing was thrown";
  }
};

TEST_F(AwsSessionTest, EndpointsOfRegions) {
  variables_.erase("AWS_ENDPOINT_URL");
  EXPECT_EQ(session().endpoint("sts", "sts"), "https://sts.eu-west-1.amazonaws.com");
  session_.reset();
  variables_["AWS_REGION"] = "cn-north-1";
  EXPECT_EQ(session().endpoint("logs", "cloudwatch_logs"), "https://logs.cn-north-1.amazonaws.com.cn");
}

TEST_F(AwsSessionTest, EndpointsThatAreConfigured) {
  variables_["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1/";
  variables_["AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"] = "https://logs:2//";
  EXPECT_EQ(session().endpoint("sts", "sts"), "http://127.0.0.1:1");
  EXPECT_EQ(session().endpoint("logs", "cloudwatch_logs"), "https://logs:2");
  variables_["AWS_ENDPOINT_URL"] = "sts:9";
  EXPECT_THAT(message_of([&] { session().endpoint("sts", "sts"); }), HasSubstr("'sts:9' of AWS's service sts"));
}

TEST_F(AwsSessionTest, KeysAreNotSentWhereTheyCanBeReadOnTheWay) {
  variables_["AWS_ENDPOINT_URL"] = "http://all:1/";
  EXPECT_THAT(message_of([&] { session().endpoint("sts", "sts"); }),
              HasSubstr("The endpoint of AWS's service sts is http://all:1, which is not https"));
  variables_["METAFLOW_ALLOW_PLAIN_HTTP"] = "1";
  EXPECT_EQ(session().endpoint("sts", "sts"), "http://all:1");
}

TEST_F(AwsSessionTest, NoRegion) {
  variables_.erase("AWS_REGION");
  EXPECT_THAT(message_of([&] { session().region(); }), HasSubstr("No AWS region is configured"));
}

TEST_F(AwsSessionTest, KeysThatWereRefusedAreReadAgain) {
  const AwsKeys old = session().keys();
  EXPECT_EQ(old.access_key, "KEY");
  EXPECT_FALSE(session().renew(old)) << "they are the same";
  keys("OTHER");
  EXPECT_TRUE(session().renew(old));
  EXPECT_EQ(session().keys().access_key, "OTHER");
  std::filesystem::remove_all(home_ + "/.aws");
  EXPECT_FALSE(session().renew(session().keys())) << "the files are being written";
}

TEST_F(AwsSessionTest, AClockThatIsWrong) {
  const std::int64_t now = session().signing_time();
  Response response;
  response.headers = {{"date", "Mon, 23 Nov 2099 10:00:00 GMT"}};
  EXPECT_TRUE(session().correct_clock(response));
  EXPECT_GT(session().signing_time(), now + 1'000'000'000);
  EXPECT_FALSE(session().correct_clock(response)) << "it is right now";
  response.headers = {};
  EXPECT_FALSE(session().correct_clock(response));
}

}  // namespace
}  // namespace metaflow::net
