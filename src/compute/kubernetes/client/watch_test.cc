#include "compute/kubernetes/client/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <stdexcept>

#include "compute/kubernetes/client/testing.h"

namespace metaflow::kube {
namespace {

using net::Received;
using net::Reply;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using testing::UnorderedElementsAre;

std::string event(const std::string& type, const Json& object) {
  return Json{{"type", type}, {"object", object}}.dump() + "\n";
}

Reply list_of(const std::vector<Json>& objects, const std::string& version) {
  return object_reply({{"metadata", {{"resourceVersion", version}}}, {"items", objects}});
}

std::string expired() {
  return event(
      "ERROR",
      {{"kind", "Status"}, {"code", 410}, {"reason", "Expired"}, {"message", "too old resource version: 1 (2)"}});
}

class KubernetesWatchTest : public ApiTest {
 protected:
  KubernetesWatchTest()
      : ApiTest([this](const Received& request) {
          const std::scoped_lock lock(mutex_);
          // Further requests are never answered, as for a watch without changes.
          auto& replies = request.target.find("watch=true") == std::string::npos ? lists_ : watches_;
          if (replies.empty()) return Reply{.pause = std::chrono::milliseconds(60'000)};
          Reply reply = replies.front();
          replies.erase(replies.begin());
          return reply;
        }) {
    watch_options_.retry.first_delay = 1000;
    watch_options_.retry.max_delay = 2000;
    handler_ = {.on_change =
                    [this](Change change, Json&& object) {
                      const char* sign = change == Change::added ? "+" : change == Change::deleted ? "-" : "~";
                      reported_.push_back(sign + text_at(object, {"metadata", "name"}) + "@" +
                                          text_at(object, {"metadata", "resourceVersion"}));
                    },
                .on_synced = [this] { reported_.push_back("synced"); },
                .on_trouble = [this](const CallFailure& failure, std::int64_t) { troubles_.push_back(failure.text); },
                .on_failure = [this](const CallFailure& failure) { failure_ = failure; }};
  }

  void start() {
    watch_ = std::make_unique<Watch>(api(), Resource::pods, Selection{.labels = "a=b"}, handler_, watch_options_);
  }
  /// Runs until everything expected was reported.
  void finish() {
    run_until([&] {
      if (failure_) return true;
      const std::scoped_lock lock(mutex_);
      return lists_.empty() && watches_.empty() && !api().transport().counters().by_kind.empty() &&
             reported_.size() >= expected_;
    });
  }

  std::mutex mutex_;  // the server has threads of its own
  std::vector<Reply> lists_;
  std::vector<Reply> watches_;
  WatchOptions watch_options_;
  WatchHandler handler_;
  std::vector<std::string> reported_;
  std::vector<std::string> troubles_;
  std::optional<CallFailure> failure_;
  std::size_t expected_ = 0;
  std::unique_ptr<Watch> watch_;
};

TEST_F(KubernetesWatchTest, ListsThenWatches) {
  lists_ = {list_of({object_named("a", "1"), object_named("b", "2")}, "3")};
  const std::string all = event("MODIFIED", object_named("a", "4")) + event("ADDED", object_named("c", "5")) +
                          event("BOOKMARK", {{"metadata", {{"resourceVersion", "9"}}}}) +
                          event("DELETED", object_named("b", "10"));
  watches_ = {{.pieces = {all.substr(0, 7), all.substr(7, 100), all.substr(107)},
               .pause = std::chrono::milliseconds(1),
               .cut_off_after = 0}};
  expected_ = 6;
  start();
  finish();
  EXPECT_THAT(reported_, ElementsAre("+a@1", "+b@2", "synced", "~a@4", "+c@5", "-b@10"));
  EXPECT_EQ(watch_->objects(), 2U);
  // The watch continues where it broke off.
  run_until([&] { return requests().size() == 3; });
  EXPECT_THAT(
      requests(),
      ElementsAre("GET /api/v1/namespaces/n/pods?labelSelector=a%3Db&limit=250",
                  "GET /api/v1/namespaces/n/"
                  "pods?allowWatchBookmarks=true&labelSelector=a%3Db&resourceVersion=3&timeoutSeconds=375&watch=true",
                  HasSubstr("resourceVersion=10&")));
}

TEST_F(KubernetesWatchTest, ChangesBetweenWatchesAreReported) {
  lists_ = {
      list_of({object_named("a", "1"), object_named("b", "2"), object_named("c", "3"), object_named("d", "3")}, "3"),
      list_of({object_named("a", "1"), object_named("b", "7"), object_named("e", "8")}, "9")};
  Json again = object_named("d", "8");
  again.find("metadata")->set("uid", "another");
  lists_[1] = list_of({object_named("a", "1"), object_named("b", "7"), again, object_named("e", "8")}, "9");
  watches_ = {{.pieces = {expired()}}};
  expected_ = 11;
  start();
  finish();
  ASSERT_EQ(reported_.size(), 11U);
  EXPECT_THAT(std::vector<std::string>(reported_.begin() + 5, reported_.end()),
              ElementsAre("~b@7", "-d@3", "+d@8", "+e@8", "-c@3", "synced"));
  EXPECT_THAT(
      troubles_,
      ElementsAre(HasSubstr("Cannot watch pods in namespace n: too old resource version: 1 (2) (410 Expired)")));
  EXPECT_EQ(watch_->objects(), 4U);
}

TEST_F(KubernetesWatchTest, BrokenWatchesAreRestarted) {
  lists_ = {list_of({object_named("a", "1")}, "1"), list_of({object_named("a", "1")}, "6")};
  watches_ = {
      {.reset = true},
      status_reply(503, "ServiceUnavailable", "later"),
      {.pieces = {event("MODIFIED", object_named("a", "2")), "{\"type\":\"MODIFIED\",\"object\":{\"kind\":\n"}},
      {.pieces = {event("MODIFIED", object_named("a", "3")), "not even json\n"}},
      {.pieces = {event("MODIFIED", object_named("a", "4")).substr(0, 20)}, .cut_off_after = 0},
      {.pieces = {event("MODIFIED", object_named("a", "5")), event("ERROR", {{"code", 500}, {"message", "etcd"}})}},
      status_reply(410, "Expired", "too old"),
      {.pieces = {event("DELETED", object_named("a", "7"))}, .pause = std::chrono::milliseconds(1)}};
  expected_ = 8;
  start();
  finish();
  EXPECT_THAT(reported_, ElementsAre("+a@1", "synced", "~a@2", "~a@3", "~a@5", "~a@1", "synced", "-a@7"));
  EXPECT_FALSE(failure_);
  EXPECT_EQ(watch_->objects(), 0U);
}

TEST_F(KubernetesWatchTest, ServerRestoredFromABackup) {
  // Restored from a backup: it counts from an older version, and refuses ours again and again.
  lists_ = {list_of({object_named("a", "100")}, "100"), list_of({object_named("a", "50")}, "51")};
  watches_ = std::vector<Reply>(4, status_reply(504, "Timeout", "Too large resource version: 100, current: 51"));
  expected_ = 4;
  start();
  finish();
  EXPECT_THAT(reported_, ElementsAre("+a@100", "synced", "~a@50", "synced"));
}

TEST_F(KubernetesWatchTest, NotAllowed) {
  lists_ = {status_reply(403, "Forbidden", "pods is forbidden")};
  start();
  finish();
  ASSERT_TRUE(failure_);
  EXPECT_EQ(failure_->status, 403);
  failure_.reset();
  // Some users may list, but not watch.
  lists_ = {list_of({}, "1")};
  watches_ = {status_reply(403, "Forbidden", "pods is forbidden: cannot watch")};
  start();
  run_until([&] { return failure_.has_value(); });
  EXPECT_THAT(failure_->text, StartsWith("Cannot watch pods in namespace n: pods is forbidden"));
}

TEST_F(KubernetesWatchTest, RefusalAfterASuccessIsRetried) {
  lists_ = {list_of({}, "1")};
  watches_ = {
      {.pieces = {event("ADDED", object_named("a", "2"))}, .cut_off_after = 0},
      status_reply(403, "Forbidden", "the API server has just started"),
      status_reply(401, "Unauthorized", "Unauthorized"),
      {.pieces = {event("ADDED", object_named("b", "3"))}, .pause = std::chrono::milliseconds(1), .cut_off_after = 0}};
  expected_ = 3;
  start();
  finish();
  EXPECT_FALSE(failure_);
  EXPECT_THAT(reported_, ElementsAre("synced", "+a@2", "+b@3"));
}

TEST_F(KubernetesWatchTest, DestroyedByItsOwnCallback) {
  lists_ = {list_of({object_named("a", "1")}, "1")};
  watches_ = {{.pieces = {event("MODIFIED", object_named("a", "2")) + event("MODIFIED", object_named("a", "3"))}}};
  int changes = 0;
  handler_.on_change = [&](Change change, Json&&) {
    ++changes;
    if (change == Change::modified) watch_.reset();
  };
  start();
  run_until([&] { return watch_ == nullptr; });
  EXPECT_EQ(changes, 2);
  EXPECT_EQ(api().transport().in_flight(), 0U);
  // Also while it lists.
  lists_ = {list_of({object_named("a", "1"), object_named("b", "1")}, "1")};
  handler_.on_change = [&](Change, Json&&) { watch_.reset(); };
  start();
  run_until([&] { return watch_ == nullptr; });
  for (int i = 0; i < 3; ++i) loop_.poll();
  EXPECT_EQ(api().transport().in_flight(), 0U);
}

TEST_F(KubernetesWatchTest, ExceptionOfItsCallback) {
  lists_ = {list_of({}, "1")};
  watches_ = {{.pieces = {event("ADDED", object_named("a", "2"))}}};
  handler_.on_change = [](Change, Json&&) { throw std::runtime_error("mine"); };
  start();
  EXPECT_THROW(run_until([] { return false; }), std::runtime_error);
  EXPECT_EQ(api().transport().in_flight(), 0U);
}

}  // namespace
}  // namespace metaflow::kube
