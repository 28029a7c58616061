// The live log of a pod's container.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "compute/kubernetes/client/api.h"

namespace metaflow::kube {

/// Follows a log to its end, and continues where the stream breaks off: each line comes once. A line longer than
/// kMaxLine comes in pieces. Not thread-safe; callbacks come from the loop, and may destroy this.
class PodLog {
 public:
  static constexpr std::size_t kMaxLine = 1U << 20U;  // bytes

  using Sink = std::function<void(std::string_view lines)>;
  /// `whole`: the log was read to its end. Otherwise, the rest is not available.
  using Done = std::function<void(bool whole)>;

  /// `api` must outlive this.
  PodLog(KubernetesApi& api, std::string pod, std::string container, Sink sink, Done done);
  ~PodLog();
  PodLog(const PodLog&) = delete;
  PodLog& operator=(const PodLog&) = delete;

 private:
  void open();
  void take(std::string_view piece);
  void line(std::string_view text);
  void ended(Answer&& answer);

  KubernetesApi& api_;
  LogQuery query_;
  Sink sink_;
  Done done_;
  KubernetesApi::Id id_ = 0;
  std::optional<base::EventLoop::Timer> pause_;
  std::string partial_;
  bool is_continued_ = false;  // the beginning of the line was reported
  std::string until_;          // the time of the last reported line
  std::string lines_;          // of one piece
  int failures_ = 0;           // since the last data
};

}  // namespace metaflow::kube
