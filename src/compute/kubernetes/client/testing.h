// Shared by the tests of the API client: a server, and a loop that runs until a condition holds.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "compute/kubernetes/client/api.h"
#include "net/testing.h"

namespace metaflow::kube {

/// An answer as an API server gives it.
inline net::Reply status_reply(int code, const std::string& reason, const std::string& message,
                               net::Headers headers = {}) {
  return {
      .status = code,
      .headers = std::move(headers),
      .body = Json{{"kind", "Status"}, {"status", "Failure"}, {"code", code}, {"reason", reason}, {"message", message}}
                  .dump()};
}

inline net::Reply object_reply(const Json& object, int code = 200) { return {.status = code, .body = object.dump()}; }

inline Json object_named(const std::string& name, const std::string& version = "1", const std::string& owner = "") {
  Json object{{"metadata", {{"name", name}, {"uid", "uid-" + name}, {"resourceVersion", version}}}};
  if (!owner.empty()) object.find("metadata")->set("labels", {{"x/owner", owner}});
  return object;
}

class ApiTest : public testing::Test {
 protected:
  explicit ApiTest(std::function<net::Reply(const net::Received&)> handler)
      : loop_(clock_), server_(std::make_unique<net::TestServer>(std::move(handler))) {
    access_.cluster.server = server_->url();
    access_.cluster.proxy = "";
    access_.source = "context 'test' of /k";
    options_ = {.name_space = "n", .owner_label = "x/owner"};
    options_.transport.limits.retry.first_delay = 1000;
    options_.transport.limits.retry.max_delay = 5000;
    options_.transport.limits.retry.tries = 4;
    options_.transport.on_retry = [this](const CallFailure& failure, std::int64_t pause) {
      retried_.push_back(failure.text);
      pauses_.push_back(pause);
    };
  }

  /// The handler belongs to a derived class, whose members are destroyed before this one's.
  void TearDown() override { server_.reset(); }

  KubernetesApi& api() {
    if (!api_) api_.emplace(loop_, clock_, access_, options_, [this] { return random_; });
    return *api_;
  }
  void run_until(const std::function<bool()>& done) {
    while (!done()) loop_.run_once();
  }
  /// Starts `call`, and waits for its answer.
  Answer wait(const std::function<void(KubernetesApi::Done)>& call) {
    std::optional<Answer> answer;
    call([&](Answer&& given) { answer = std::move(given); });
    EXPECT_FALSE(answer) << "called back too early";
    run_until([&] { return answer.has_value(); });
    return std::move(*answer);
  }
  Answer get(const std::string& name) {
    return wait([&](auto done) { api().get(Resource::jobs, name, done); });
  }
  /// Returns all requests: "GET /path", "POST /path {body}".
  std::vector<std::string> requests() {
    std::vector<std::string> lines;
    for (const net::Received& request : server_->received())
      lines.push_back(request.method + " " + request.target + (request.body.empty() ? "" : " " + request.body));
    return lines;
  }

  base::SystemClock clock_;
  base::EventLoop loop_;
  std::unique_ptr<net::TestServer> server_;
  Access access_;
  ApiOptions options_;
  double random_ = 0.5;
  std::vector<std::string> retried_;
  std::vector<std::int64_t> pauses_;
  std::optional<KubernetesApi> api_;
};

/// A server whose answers a test sets.
class KubernetesApiTest : public ApiTest {
 protected:
  KubernetesApiTest()
      : ApiTest([this](const net::Received& request) {
          const std::scoped_lock lock(mutex_);
          return answer_(request);
        }) {}

  /// Sets the answers; the last one is repeated.
  void answers(std::vector<net::Reply> replies) {
    const std::scoped_lock lock(mutex_);
    answer_ = [replies = std::move(replies), next = std::size_t{0}](const net::Received&) mutable {
      return replies[std::min(next++, replies.size() - 1)];
    };
  }
  Answer create(const Json& object, Resource resource = Resource::jobs) {
    return wait([&](auto done) { api().create(resource, object, done); });
  }
  ListEnd list(std::vector<std::string>& names, int* restarts = nullptr) {
    std::optional<ListEnd> end;
    api().list(Resource::pods, {.labels = "a=b"},
               {.on_object =
                    [&](Json&& object) {
                      names.push_back(text_at(object, {"metadata", "name"}));
                    },
                .on_restart =
                    [&] {
                      names.clear();
                      if (restarts != nullptr) ++*restarts;
                    },
                .done = [&](ListEnd&& given) { end = std::move(given); }});
    run_until([&] { return end.has_value(); });
    return *end;
  }

  std::mutex mutex_;  // the server has threads of its own
  std::function<net::Reply(const net::Received&)> answer_;
};

}  // namespace metaflow::kube
