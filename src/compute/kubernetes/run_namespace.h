// What a run has in one namespace of a cluster besides its jobs: a client of the API, the watch of its pods, and the
// secret with the link by which they fetch the flow.
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
    /// Jobs may be made: what they refer to is there. Once.
    std::function<void()> on_ready;
    /// The cluster does not answer, and it lasts; again every half minute.
    std::function<void(const std::string& words)> on_trouble;
    /// Nothing can be done here.
    std::function<void(const std::string& words)> on_failure;
  };
  /// A link to the package, as long-lived as can be. May throw Error.
  using Link = std::function<store::Link()>;

  /// `secret`: its name; empty: there is none, and no `link` is asked for. The references outlive this.
  RunNamespace(base::EventLoop& loop, base::Clock& clock, const Access& access, const std::string& name,
               const std::string& run_key, std::string secret, Link link, Handler handler);
  ~RunNamespace();
  RunNamespace(const RunNamespace&) = delete;
  RunNamespace& operator=(const RunNamespace&) = delete;

  KubernetesApi& api() { return api_; }
  bool ready() const { return ready_; }
  /// Deletes the secret; `done` when that was answered. Nothing is told any more but that.
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
  compute::Troubles troubles_;  // since pods were heard of
  bool ready_ = false;
  bool over_ = false;
};

}  // namespace metaflow::kube
