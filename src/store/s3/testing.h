// For tests of S3: a server that answers as the test says.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <metaflow/error.h>

#include "net/testing.h"
#include "store/s3/s3_storage.h"

namespace metaflow::store {

using net::Received;
using net::Reply;
using net::TestServer;

inline std::string error_xml(const std::string& code, const std::string& more = {}) {
  return "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code><Message>words</Message>" + more + "</Error>";
}

/// A scripted server, and a store on it.
class S3Test : public testing::Test {
 protected:
  S3Test() : server_([this](const Received& request) { return answer_(request); }) {}

  S3Storage& storage() {
    if (!storage_) {
      // The threads that look for keys may outlive the test.
      net::AwsConfig config([variables = variables_](const std::string& name) {
        const auto found = variables.find(name);
        return found == variables.end() ? std::nullopt : std::optional(found->second);
      });
      S3Options options{.endpoint = server_.url()};
      options.retry = {.tries = 4, .first_delay = 1'000, .max_delay = 2'000, .max_retry_after = 1'000'000};
      storage_.emplace("s3://bucket/root/", std::move(options), std::move(config));
    }
    return *storage_;
  }
  std::string failure(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::data_store);
      return error.what();
    }
    return "none";
  }
  std::vector<std::string> requests() {
    std::vector<std::string> lines;
    for (const Received& request : server_.received()) lines.push_back(request.method + " " + request.target);
    return lines;
  }

  std::map<std::string, std::string> variables_{{"AWS_ACCESS_KEY_ID", "KEY"},
                                                {"AWS_SECRET_ACCESS_KEY", "topsecret"},
                                                {"HOME", "/nonexistent"},
                                                {"AWS_EC2_METADATA_DISABLED", "true"}};
  std::function<Reply(const Received&)> answer_ = [](const Received&) { return Reply{}; };
  TestServer server_;
  std::optional<S3Storage> storage_;
};

}  // namespace metaflow::store
