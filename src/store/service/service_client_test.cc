#include "store/service/service_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include <metaflow/error.h>

#include "base/files.h"
#include "net/testing.h"

namespace metaflow::store {
namespace {

using net::Received;
using net::Reply;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ServiceClientTest : public testing::Test {
 protected:
  ServiceClient& client() {
    if (!client_) {
      ServiceOptions options{.url = server_.url()};
      options.retry = {.tries = 3, .first_delay = 100};
      client_.emplace(std::move(options), loop_, clock_);
    }
    return *client_;
  }

  std::function<Reply(const Received&)> answer_ = [](const Received&) { return Reply{.status = 503}; };
  net::TestServer server_{[this](const Received& request) { return answer_(request); }};
  base::SystemClock clock_;
  base::EventLoop loop_{clock_};
  std::optional<ServiceClient> client_;
};

TEST_F(ServiceClientTest, RequestIsRetriedButHeartbeatIsNot) {
  EXPECT_EQ(client().fetch({.path = "/x"}).tries, 3);
  const ServiceAnswer beat = client().fetch({.method = "POST", .path = "/heartbeat", .background = true});
  EXPECT_EQ(beat.status, 503);
  EXPECT_EQ(beat.tries, 1);
  EXPECT_EQ(server_.received().size(), 4u);
}

TEST_F(ServiceClientTest, NonRepeatableRequestIsNotRetriedAfterALostAnswer) {
  answer_ = [](const Received&) { return Reply{.status = 500}; };
  const ServiceAnswer once = client().fetch({.method = "POST", .path = "/x", .repeatable = false});
  EXPECT_EQ(once.tries, 1);
  EXPECT_TRUE(once.may_have_arrived);
  EXPECT_FALSE(once.after_lost_answer);
  int asked = 0;
  answer_ = [&](const Received&) { return Reply{.status = ++asked == 1 ? 500 : 409}; };
  const ServiceAnswer second = client().fetch({.method = "POST", .path = "/x"});
  EXPECT_EQ(second.status, 409);
  EXPECT_TRUE(second.after_lost_answer) << "the 409 may come from the first attempt";
  answer_ = [](const Received&) { return Reply{.status = 503}; };
  const ServiceAnswer refused = client().fetch({.method = "POST", .path = "/x", .repeatable = false});
  EXPECT_EQ(refused.tries, 3) << "a refused request was not carried out";
  EXPECT_FALSE(refused.may_have_arrived);
}

TEST(ServiceOptionsTest, Versions) {
  EXPECT_TRUE(older_version("2.0.3", "2.0.4"));
  EXPECT_TRUE(older_version("2.2.9", "2.10"));
  EXPECT_TRUE(older_version("", "1"));
  EXPECT_FALSE(older_version("2.0.4", "2.0.4"));
  EXPECT_FALSE(older_version("3", "2.5.0"));
  EXPECT_FALSE(older_version("2.4.1rc1", "2.4.1"));
}

TEST(ServiceOptionsTest, MessagesDoNotContainKeys) {
  ::setenv("METAFLOW_SERVICE_URL", "https://me:pass@host/x?token=t", 1);
  ::setenv("METAFLOW_SERVICE_AUTH_KEY", "hidden\r\nx: y", 1);
  const base::Settings settings;
  for (int i = 0; i < 2; ++i) {
    try {
      service_options(settings);
      FAIL();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr("METAFLOW_SERVICE_"), Not(HasSubstr("hidden")), Not(HasSubstr("pass")),
                                      Not(HasSubstr("token=t"))));
    }
    ::setenv("METAFLOW_SERVICE_URL", "https://host/x/", 1);
  }
  ::setenv("METAFLOW_SERVICE_AUTH_KEY", "key", 1);
  const ServiceOptions options = service_options(settings);
  EXPECT_EQ(options.url, "https://host/x");
  EXPECT_EQ(options.headers[0], net::Header("x-api-key", "key"));
  ::unsetenv("METAFLOW_SERVICE_URL");
  ::unsetenv("METAFLOW_SERVICE_AUTH_KEY");
}

/// A configuration file of the user, and variables that are unset at the end.
class ServiceSettings : public testing::Test {
 protected:
  ServiceSettings() {
    std::string name = testing::TempDir() + "service_XXXXXX";
    home_ = ::mkdtemp(name.data());
    set("METAFLOW_HOME", home_);
  }
  ~ServiceSettings() override {
    for (const std::string& name : set_) ::unsetenv(name.c_str());
    std::filesystem::remove_all(home_);
  }
  void set(const std::string& name, const std::string& value) {
    ::setenv(name.c_str(), value.c_str(), 1);
    set_.push_back(name);
  }
  static std::string refusal() {
    try {
      service_options(base::Settings());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_command);
      return error.what();
    }
    return "none";
  }

  std::string home_;
  std::vector<std::string> set_;
};

TEST_F(ServiceSettings, KeysAreNotSentWithoutTls) {
  set("METAFLOW_SERVICE_URL", "http://metadata:8080");
  EXPECT_EQ(refusal(), "none") << "without a key";
  for (const auto& [name, value] :
       {std::pair("METAFLOW_SERVICE_AUTH_KEY", "k"), {"METAFLOW_SERVICE_HEADERS", R"({"a": "b"})"}}) {
    set(name, value);
    set("METAFLOW_SERVICE_URL", "http://metadata:8080");
    EXPECT_THAT(refusal(), HasSubstr("The metadata service is http://metadata:8080, which is not https")) << name;
    set("METAFLOW_SERVICE_URL", "http://127.0.0.1:8080");
    EXPECT_EQ(refusal(), "none");
    set("METAFLOW_SERVICE_URL", "https://metadata");
    EXPECT_EQ(refusal(), "none");
    ::unsetenv(name);
  }
  set("METAFLOW_SERVICE_URL", "http://metadata:8080");
  base::replace_file(home_ + "/config.json",
                     R"({"METAFLOW_SERVICE_AUTH_KEY": "k", "METAFLOW_ALLOW_PLAIN_HTTP": true})");
  EXPECT_EQ(refusal(), "none") << "the user has allowed it";
}

TEST_F(ServiceSettings, KeyInAFileIsForTheAddressInThatFile) {
  base::replace_file(home_ + "/config.json",
                     R"({"METAFLOW_SERVICE_AUTH_KEY": "k", "METAFLOW_SERVICE_URL": "https://own/"})");
  EXPECT_EQ(refusal(), "none");
  set("METAFLOW_SERVICE_URL", "https://own");
  EXPECT_EQ(refusal(), "none");
  set("METAFLOW_SERVICE_URL", "https://other");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("is for https://own, but METAFLOW_SERVICE_URL is https://other"),
                               HasSubstr("METAFLOW_SERVICE_AUTH_KEY in '" + home_), Not(HasSubstr("\"k\""))));
  set("METAFLOW_SERVICE_AUTH_KEY", "another");
  EXPECT_EQ(refusal(), "none") << "a key in the environment is for the address there";
  ::unsetenv("METAFLOW_SERVICE_AUTH_KEY");
  base::replace_file(home_ + "/config.json", R"({"METAFLOW_SERVICE_AUTH_KEY": "k"})");
  EXPECT_EQ(refusal(), "none") << "the file has no address";
}

}  // namespace
}  // namespace metaflow::store
