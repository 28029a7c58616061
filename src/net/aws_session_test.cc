#include "net/aws_session.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <metaflow/error.h>

#include "base/background_work.h"
#include "base/iso_time.h"
#include "base/testing.h"
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

TEST_F(AwsSessionTest, ConfiguredEndpoints) {
  variables_["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1/";
  variables_["AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"] = "https://logs:2//";
  EXPECT_EQ(session().endpoint("sts", "sts"), "http://127.0.0.1:1");
  EXPECT_EQ(session().endpoint("logs", "cloudwatch_logs"), "https://logs:2");
  variables_["AWS_ENDPOINT_URL"] = "sts:9";
  EXPECT_THAT(message_of([&] { session().endpoint("sts", "sts"); }), HasSubstr("'sts:9' of the AWS service sts"));
}

TEST_F(AwsSessionTest, KeysAreNotSentUnencrypted) {
  variables_["AWS_ENDPOINT_URL"] = "http://all:1/";
  EXPECT_THAT(message_of([&] { session().endpoint("sts", "sts"); }),
              HasSubstr("The endpoint of the AWS service sts is http://all:1, which is not https"));
  variables_["METAFLOW_ALLOW_PLAIN_HTTP"] = "1";
  EXPECT_EQ(session().endpoint("sts", "sts"), "http://all:1");
}

TEST_F(AwsSessionTest, NoRegion) {
  variables_.erase("AWS_REGION");
  EXPECT_THAT(message_of([&] { session().region(); }), HasSubstr("No AWS region is configured"));
  session_.reset();
  variables_["AWS_REGION"] = "evil.com/#";
  EXPECT_THAT(message_of([&] { session().region(); }), HasSubstr("'evil.com/#' is not an AWS region"));
}

TEST_F(AwsSessionTest, RejectedKeysAreReadAgain) {
  const AwsKeys old = session().keys();
  EXPECT_EQ(old.access_key, "KEY");
  EXPECT_FALSE(session().renew(old)) << "they are the same";
  keys("OTHER");
  EXPECT_TRUE(session().renew(old));
  EXPECT_EQ(session().keys().access_key, "OTHER");
  std::filesystem::remove_all(home_ + "/.aws");
  EXPECT_FALSE(session().renew(session().keys())) << "the files are being written";
}

TEST_F(AwsSessionTest, AWrongClockIsCorrected) {
  const std::int64_t now = session().signing_time();
  Response response;
  response.headers = {{"date", "Mon, 23 Nov 2099 10:00:00 GMT"}};
  EXPECT_TRUE(session().correct_clock(response));
  EXPECT_GT(session().signing_time(), now + 1'000'000'000);
  EXPECT_FALSE(session().correct_clock(response)) << "it is right now";
  response.headers = {};
  EXPECT_FALSE(session().correct_clock(response));
}

// --- while attached to a loop

/// Keys come from a program, which prints what the test wrote; after close_gate() it blocks until the gate opens.
class AttachedAwsSessionTest : public AwsSessionTest {
 protected:
  AttachedAwsSessionTest() {
    EXPECT_EQ(::mkfifo((home_ + "/gate").c_str(), 0600), 0);
    std::filesystem::remove(home_ + "/.aws/credentials");
    program("cat " + home_ + "/keys.json");
    other_.emplace(time_, AwsConfig([variables = variables_](const std::string& name) -> std::optional<std::string> {
                     const auto found = variables.find(name);
                     return found == variables.end() ? std::nullopt : std::optional(found->second);
                   }));
    other_->attach(loop_);
  }
  ~AttachedAwsSessionTest() override { other_->detach(); }

  void program(const std::string& command) {
    base::replace_file(home_ + "/.aws/config", "[default]\ncredential_process = sh -c '" + command + "'\n");
  }
  /// Sets the output of the program. `lasts`: seconds from now.
  void give(const std::string& key, std::int64_t lasts) {
    const std::string end = base::utc_time(time_.now + lasts * 1'000'000).substr(0, 19) + "Z";
    base::replace_file(home_ + "/keys.json", R"({"Version": 1, "AccessKeyId": ")" + key +
                                                 R"(", "SecretAccessKey": "s", "Expiration": ")" + end + "\"}");
  }
  void close_gate() { program("read word < " + home_ + "/gate; cat " + home_ + "/keys.json"); }
  void open_gate() {
    const base::Fd gate(::open((home_ + "/gate").c_str(), O_WRONLY | O_CLOEXEC));  // returns when the program reads it
    EXPECT_EQ(::write(gate.get(), "go\n", 3), 3);
  }
  /// The key that is reported, or the reason why there is none.
  std::string get() {
    std::optional<std::string> found_key;
    other_->get_keys([&](const AwsSession::Keys& found) {
      found_key = found.keys != nullptr ? found.keys->access_key : found.error->what();
      may_recover_ = found.may_recover;
    });
    run_until([&] { return found_key.has_value(); });
    return *found_key;
  }
  void wait_for(const std::string& key) {
    while (get() != key) {  // the timer limits run_once() if no search is running
      const base::EventLoop::Timer timer = loop_.after(1000, [] {});
      loop_.run_once();
      loop_.cancel(timer);
    }
  }

  base::FakeClock time_;
  std::optional<AwsSession> other_;
  bool may_recover_ = false;
};

TEST_F(AttachedAwsSessionTest, TheLoopContinuesDuringASearch) {
  give("A", 3600);
  close_gate();
  std::vector<std::string> order;
  for (int i = 0; i < 2; ++i)
    other_->get_keys([&](const AwsSession::Keys& found) { order.push_back(found.keys->access_key); });
  loop_.after(0, [&] {
    order.push_back("timer");
    open_gate();
  });
  run_until([&] { return order.size() == 3; });
  EXPECT_THAT(order, testing::ElementsAre("timer", "A", "A")) << "one program serves both";
}

TEST_F(AttachedAwsSessionTest, KeysAreRenewedAheadWithoutBlocking) {
  give("A", 60);
  EXPECT_EQ(get(), "A");
  time_.now += 40'000'000;
  give("B", 3600);
  close_gate();
  EXPECT_EQ(get(), "A") << "valid for another 20 seconds";
  EXPECT_EQ(other_->keys().access_key, "A") << "callers outside the loop do not wait either";
  open_gate();
  wait_for("B");
}

TEST_F(AttachedAwsSessionTest, AFailedRenewalIsRetried) {
  give("A", 60);
  EXPECT_EQ(get(), "A");
  time_.now += 40'000'000;
  program("echo throttled >&2; exit 3");
  EXPECT_EQ(get(), "A");
  time_.now += 30'000'000;
  EXPECT_THAT(get(), HasSubstr("throttled"));
  EXPECT_TRUE(may_recover_);
  EXPECT_THAT(message_of([&] { other_->keys_without_waiting(); }), HasSubstr("being renewed"));
  program("cat " + home_ + "/keys.json");
  give("B", 3600);
  wait_for("B");
}

TEST_F(AttachedAwsSessionTest, AFirstSearchThatFailsIsReported) {
  program("exit 3");
  EXPECT_THAT(get(), HasSubstr("failed with 3"));
  EXPECT_FALSE(may_recover_);
}

TEST_F(AttachedAwsSessionTest, RejectedKeysStartASearch) {
  give("A", 3600);
  EXPECT_EQ(get(), "A");
  const AwsKeys old = other_->keys();
  EXPECT_TRUE(other_->renew(old)) << "there may be others";
  EXPECT_EQ(get(), "A");
  EXPECT_FALSE(other_->renew(old)) << "there were none just now";
  time_.now += 20'000'000;
  give("B", 3600);
  EXPECT_TRUE(other_->renew(old));
  EXPECT_EQ(get(), "B");
  EXPECT_TRUE(other_->renew(old)) << "they are here already";
}

TEST_F(AttachedAwsSessionTest, ABlockedProgramIsAbandonedAtTheEnd) {
  give("A", 3600);
  close_gate();
  base::wait_for_detached_threads();
  other_->get_keys([](const AwsSession::Keys&) { FAIL() << "the session was destroyed"; });
  other_->detach();
  EXPECT_EQ(base::detached_threads(), 1U);
  open_gate();
  base::wait_for_detached_threads();
  other_->attach(loop_);
}

}  // namespace
}  // namespace metaflow::net
