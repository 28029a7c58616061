// What a run has in one namespace besides its jobs: an API client, the watch of its pods, and the secret with the link
// by which they fetch the flow.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/event_loop.h"
#include "compute/kubernetes/client/api.h"
#include "compute/kubernetes/client/watch.h"
#include "compute/remote/troubles.h"
#include "store/storage.h"

namespace metaflow::kube {

/// Not thread-safe. Callbacks come from the loop, never from within the constructor, and must not destroy this.
class RunNamespace {
 public:
  struct Handler {
    std::function<void(Change, const Json& pod)> on_pod;
    /// Jobs may be created: what they refer to exists. Called once.
    std::function<void()> on_ready;
    /// The cluster has not answered for a while; repeated every half minute.
    std::function<void(const std::string& words)> on_trouble;
    /// Nothing can be done in this namespace.
    std::function<void(const std::string& words)> on_failure;
  };
  /// Makes a link to the package with the longest possible life. May throw Error.
  using Link = std::function<store::Link()>;

  /// `secret`: its name; empty: there is none, and `link` is not called. The references outlive this.
  RunNamespace(base::EventLoop& loop, base::Clock& clock, const Access& access, const std::string& name,
               const std::string& run_key, std::string secret, Link link, Handler handler);
  ~RunNamespace();
  RunNamespace(const RunNamespace&) = delete;
  RunNamespace& operator=(const RunNamespace&) = delete;

  KubernetesApi& api() { return api_; }
  bool ready() const { return ready_; }
  /// Deletes the secret; `done` is called with the answer. No other callback follows.
  void end(std::function<void()> done);

 private:
  ApiOptions api_options(const std::string& name);
  void begin();
  void trouble(const std::string& words);
  void renew_at(std::int64_t expires);
  void renew();
  void cancel(std::optional<base::EventLoop::Timer>& timer);

  base::EventLoop& loop_;
  base::Clock& clock_;
  std::string secret_;
  std::string run_key_;
  Link link_;
  Handler handler_;
  KubernetesApi api_;
  std::optional<Watch> watch_;
  std::optional<base::EventLoop::Timer> beginning_;
  std::optional<base::EventLoop::Timer> renewal_;
  compute::Troubles troubles_;  // since the last news of pods
  bool ready_ = false;
  bool over_ = false;
};

}  // namespace metaflow::kube
