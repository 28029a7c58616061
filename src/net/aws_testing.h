// The fixture for tests of AWS services: a server, keys, and a loop that runs until a condition holds.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/files.h"
#include "net/aws_session.h"
#include "net/call_queue.h"
#include "net/testing.h"

namespace metaflow::net {

/// The answers are sent in order, the last one repeatedly; or `handler` returns them.
class AwsTest : public testing::Test {
 protected:
  AwsTest() : loop_(clock_), server_([this](const Received& request) { return answer(request); }) {
    std::string name = testing::TempDir() + "aws_XXXXXX";
    home_ = ::mkdtemp(name.data());
    variables_ = {{"HOME", home_},
                  {"AWS_EC2_METADATA_DISABLED", "true"},
                  {"AWS_REGION", "eu-west-1"},
                  {"AWS_ENDPOINT_URL", server_.url()}};
    keys("KEY");
  }
  ~AwsTest() override { std::filesystem::remove_all(home_); }

  /// The handler belongs to a derived class, whose members are destroyed before this class's server.
  void TearDown() override {
    const std::scoped_lock lock(mutex_);
    handler_ = nullptr;
  }

  /// Writes these keys to ~/.aws/credentials.
  void keys(const std::string& access_key) {
    std::filesystem::create_directories(home_ + "/.aws");
    base::replace_file(home_ + "/.aws/credentials",
                       "[default]\naws_access_key_id = " + access_key + "\naws_secret_access_key = very-secret\n");
  }
  AwsSession& session() {
    if (!session_) {
      session_.emplace(clock_, AwsConfig([variables = shared_](const std::string& name) {
                         const auto found = variables->find(name);
                         return found == variables->end() ? std::nullopt : std::optional(found->second);
                       }));
    }
    return *session_;
  }
  void answers(std::deque<Reply> replies) {
    const std::scoped_lock lock(mutex_);
    replies_ = std::move(replies);
  }
  static Reply refusal(int status, const std::string& code, const std::string& message, Headers headers = {}) {
    headers.emplace_back("x-amzn-errortype", code + ":http://internal.amazon.com/");
    return {.status = status, .headers = std::move(headers), .body = "{\"message\":\"" + message + "\"}"};
  }
  static CallLimits quick(int tries = 4) {
    return {.calls_per_second = 1000,
            .burst = 1000,
            .retry = {.tries = tries, .first_delay = 1000, .max_delay = 5000, .max_retry_after = 20'000}};
  }
  void run_until(const std::function<bool()>& done) {
    while (!done()) loop_.run_once();
  }
  /// "/v1/submitjob {...}" for each received request.
  std::vector<std::string> requests() {
    std::vector<std::string> lines;
    for (const Received& request : server_.received()) lines.push_back(request.target + " " + request.body);
    return lines;
  }

  base::SystemClock clock_;
  base::EventLoop loop_;
  // Threads that search keys may outlive the test.
  std::shared_ptr<std::map<std::string, std::string>> shared_ = std::make_shared<std::map<std::string, std::string>>();
  std::map<std::string, std::string>& variables_ = *shared_;
  std::string home_;
  std::mutex mutex_;
  std::deque<Reply> replies_;
  std::function<std::optional<Reply>(const Received&)> handler_;
  std::optional<AwsSession> session_;
  std::function<double()> random_ = [] { return 0.5; };
  TestServer server_;

 private:
  Reply answer(const Received& request) {
    const std::scoped_lock lock(mutex_);
    if (handler_) {
      if (auto reply = handler_(request)) return *reply;
    }
    if (replies_.empty()) return {.body = "{}"};
    Reply reply = replies_.front();
    if (replies_.size() > 1) replies_.pop_front();
    return reply;
  }
};

}  // namespace metaflow::net
