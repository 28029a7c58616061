// A fixture for tests of KubernetesJobs, with a small cluster.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "compute/backend_testing.h"
#include "compute/kubernetes/kubernetes_jobs.h"
#include "compute/kubernetes/run_jobs.h"
#include "compute/kubernetes/testing.h"
#include "compute/remote/testing.h"
#include "store/memory/memory_storage.h"

namespace metaflow::kube {

inline constexpr std::int64_t kSecond = 1'000'000;

/// A store with links to its objects.
class LinkingStorage : public store::MemoryStorage {
 public:
  std::optional<store::Link> link(const std::string& path, std::int64_t /*seconds*/) override {
    return store::Link{.url = "https://link/" + path, .expires = 4'000'000'000};
  }
};

class KubernetesJobsTest : public testing::Test {
 protected:
  KubernetesJobsTest() : server_([this](const net::Received& request) { return cluster_.answer(request); }) {
    options_.run = "7";
    options_.user = "ada";
    options_.requests["work"] = {.image = "debian", .name_space = "n"};
    options_.delivery.flow_in_image = "/opt/flow";
  }
  ~KubernetesJobsTest() override {
    jobs_.reset();
    cluster_.close();
  }

  KubernetesJobs& jobs() {
    if (!jobs_) {
      Access access;
      access.cluster.server = server_.url();
      access.source = "context 'test' of /k";
      jobs_.emplace(loop_, clock_, events_, store_, access, options_);
    }
    return *jobs_;
  }
  void run_until(const std::function<bool()>& holds) {
    while (!holds()) loop_.run_once();
  }
  void wait_for(const std::string& line, std::size_t times = 1) {
    run_until([&] { return events_.count(line) >= times; });
  }
  /// Waits until the cluster has received this call so often.
  void wait_for_call(const std::string& call, std::size_t times = 1) {
    while (cluster_.count(call) < times) {
      const base::EventLoop::Timer timer = loop_.after(1000, [] {});
      loop_.run_once();
      loop_.cancel(timer);
    }
  }
  /// Submits an attempt, waits for its job, and returns the job's name.
  std::string submit(compute::AttemptId id) {
    const std::string line = std::to_string(id) + " job ";
    jobs().submit(compute::order_of(id));
    wait_for(line);
    for (const std::string& event : events_.lines) {
      if (event.starts_with(line)) return event.substr(line.size());
    }
    return {};
  }
  void remove(compute::AttemptId id) { jobs().remove(std::span(&id, 1)); }
  void end() {
    bool done = false;
    jobs().end([&] { done = true; });
    run_until([&] { return done; });
  }

  SmallCluster cluster_;
  compute::LeapingClock clock_;
  base::EventLoop loop_{clock_};
  net::TestServer server_;
  store::FlowStore store_{std::make_shared<LinkingStorage>(), "F"};
  compute::RecordingJobEvents events_;
  KubernetesOptions options_;
  std::optional<KubernetesJobs> jobs_;
};

}  // namespace metaflow::kube
