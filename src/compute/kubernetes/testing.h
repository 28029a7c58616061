// A small cluster for tests of KubernetesJobs: it stores jobs, and answers as a test sets it.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/format.h"
#include "compute/kubernetes/client/testing.h"
#include "compute/kubernetes/manifest.h"
#include "net/testing.h"

namespace metaflow::kube {

/// Thread-safe. Has one namespace, "n".
class SmallCluster {
 public:
  ~SmallCluster() { close(); }

  net::Reply answer(const net::Received& request) {
    const std::unique_lock lock(mutex_);
    const std::string path = request.target.substr(0, request.target.find('?'));
    asked_.push_back(request.method + " " + path.substr(path.find("/n/") + 3));
    for (auto fault = faults_.begin(); fault != faults_.end(); ++fault) {
      if (asked_.back().find(fault->first) == std::string::npos) continue;
      const Fault what = fault->second;
      if (what.times > 0 && --fault->second.times == 0) faults_.erase(fault);
      if (what.is_done) carry_out(request, path);
      return what.reply;
    }
    return carry_out(request, path);
  }

  /// Sets the reply to requests such as "POST jobs", for so many times (0: always). `is_done`: the request is carried
  /// out all the same.
  void fail(const std::string& request, net::Reply reply, int times = 0, bool is_done = false) {
    const std::scoped_lock lock(mutex_);
    faults_[request] = {std::move(reply), times, is_done};
  }
  /// Sends an event of a job's pod: ADDED, MODIFIED or DELETED.
  void send(const char* type, const std::string& job, const char* phase, Json state = nullptr,
            const std::string& pod_name = "abc") {
    Json containers = Json::list();
    if (!state.is_null()) containers.push_back({{"name", kContainer}, {"state", std::move(state)}});
    send_status(type, job, {{"phase", phase}, {"containerStatuses", containers}}, pod_name);
  }
  void send_status(const char* type, const std::string& job, Json status, const std::string& pod_name = "abc") {
    const std::scoped_lock lock(mutex_);
    Json pod{{"metadata",
              {{"name", job + "-" + pod_name},
               {"namespace", "n"},
               {"uid", "uid-" + pod_name},
               {"resourceVersion", std::to_string(++version_)},
               {"labels", {{"batch.kubernetes.io/job-name", job}}}}},
             {"spec", {{"nodeName", "n1"}}},
             {"status", std::move(status)}};
    stream_ += Json{{"type", type}, {"object", pod}}.dump() + "\n";
    changed_.notify_all();
  }
  /// Ends the watch, as servers do from time to time.
  void end_watch() {
    const std::scoped_lock lock(mutex_);
    ++ended_watches_;
    changed_.notify_all();
  }
  void add_event(Json event) {
    const std::scoped_lock lock(mutex_);
    events_.push_back(std::move(event));
  }
  /// Sets the text of all containers' logs.
  void set_log(const std::string& text) {
    const std::scoped_lock lock(mutex_);
    log_ = text;
  }
  /// Suspends all new jobs, as the webhook of a queue does.
  void suspend_jobs() {
    const std::scoped_lock lock(mutex_);
    suspends_ = true;
  }
  /// Suspends a job or lets it go on, as a queue does.
  void suspend(const std::string& job, bool suspended = true) {
    const std::scoped_lock lock(mutex_);
    jobs_.at(job).find("spec")->set("suspend", suspended);
  }
  /// Deletes a job, as another client may do.
  void lose(const std::string& job) {
    const std::scoped_lock lock(mutex_);
    jobs_.erase(job);
  }
  /// Ends all waits.
  void close() {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

  /// Returns all requests: "POST jobs", "DELETE jobs/x". count() counts those with a prefix.
  std::vector<std::string> asked() {
    const std::scoped_lock lock(mutex_);
    return asked_;
  }
  std::size_t count(std::string_view request) {
    std::size_t found = 0;
    for (const std::string& line : asked()) found += line.starts_with(request) ? 1 : 0;
    return found;
  }
  std::vector<std::string> jobs() {
    const std::scoped_lock lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, job] : jobs_) names.push_back(name);
    return names;
  }

 private:
  struct Fault {
    net::Reply reply;
    int times = 0;
    bool is_done = false;
  };

  net::Reply carry_out(const net::Received& request, const std::string& path) {
    const std::string name = path.substr(path.rfind('/') + 1);
    if (request.method == "POST" && name == "jobs") return create(Json::parse_or_throw(request.body));
    if (request.method == "POST") return object_reply(Json::parse_or_throw(request.body), 201);
    if (request.method == "DELETE" && name == "jobs") return list(std::exchange(jobs_, {}));
    if (request.method == "DELETE") jobs_.erase(name);
    if (request.method == "DELETE") return object_reply({{"kind", "Status"}, {"status", "Success"}});
    if (name == "log") return {.body = log_};
    if (name == "jobs") return list(jobs_);
    if (name == "events") return object_reply({{"metadata", {{"resourceVersion", "1"}}}, {"items", events_}});
    if (name == "pods" && request.target.find("watch=true") == std::string::npos) return list({});
    if (name == "pods") return {.next = [this, watch = ended_watches_] { return next(watch); }};
    const auto found = jobs_.find(name);
    return found == jobs_.end() ? status_reply(404, "NotFound", "not found") : object_reply(found->second);
  }
  net::Reply create(Json job) {
    const std::string name = text_at(job, {"metadata", "name"});
    if (jobs_.contains(name)) return status_reply(409, "AlreadyExists", "it exists");
    job.find("metadata")->set("uid", "uid-" + name);
    if (suspends_) job.find("spec")->set("suspend", true);
    jobs_[name] = job;
    return object_reply(job, 201);
  }
  net::Reply list(const std::map<std::string, Json>& objects) const {
    Json items = Json::list();
    for (const auto& [name, object] : objects) items.push_back(object);
    return object_reply({{"metadata", {{"resourceVersion", std::to_string(version_)}}}, {"items", items}});
  }
  /// Returns the next piece of a watch's stream.
  std::string next(int watch) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || watch != ended_watches_ || !stream_.empty(); });
    return watch != ended_watches_ ? std::string() : std::exchange(stream_, {});
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Fault> faults_;  // by a part of the request
  std::vector<std::string> asked_;
  std::map<std::string, Json> jobs_;
  std::vector<Json> events_;
  std::string stream_;  // of the watch, not sent yet
  std::string log_;
  bool suspends_ = false;
  int version_ = 1;
  int ended_watches_ = 0;
  bool closed_ = false;
};

/// States of containers.
inline Json running() { return {{"running", {{"startedAt", "2026-11-22T13:04:54Z"}}}}; }
inline Json waiting(const char* reason) { return {{"waiting", {{"reason", reason}}}}; }
inline Json terminated(int code) { return {{"terminated", {{"exitCode", code}, {"reason", "Error"}}}}; }
/// Returns the status of a pod with the task's container and a sidecar.
inline Json meshed(const char* phase, Json task, Json sidecar) {
  return {{"phase", phase},
          {"containerStatuses", Json::list({{{"name", kContainer}, {"state", std::move(task)}},
                                            {{"name", "mesh"}, {"state", std::move(sidecar)}}})}};
}

}  // namespace metaflow::kube
