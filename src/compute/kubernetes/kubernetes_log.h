// The live log of an attempt's pod.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "compute/kubernetes/manifest.h"
#include "compute/kubernetes/pod_log.h"
#include "compute/remote/remote_jobs.h"

namespace metaflow::kube {

/// Not thread-safe. A pod's log has both streams in one.
class KubernetesLog : public compute::LiveLog {
 public:
  /// The references outlive this.
  KubernetesLog(KubernetesApi& api, const std::string& pod, compute::JobEvents& events, compute::AttemptId attempt) {
    log_.emplace(
        api, pod, kContainer,
        [&events, attempt](std::string_view lines) { events.on_log(attempt, store::Stream::out, lines); },
        [this, &events, attempt](bool whole) {
          is_open_ = false;
          events.on_log_end(attempt, whole);
        });
  }

  bool finish() override { return !is_open_; }
  void stop() override {
    is_open_ = false;
    log_.reset();
  }
  bool needs_stored_log() const override { return false; }
  std::string_view rest(store::Stream /*stream*/, std::string_view /*whole*/) const override { return {}; }

 private:
  std::optional<PodLog> log_;
  bool is_open_ = true;
};

}  // namespace metaflow::kube
