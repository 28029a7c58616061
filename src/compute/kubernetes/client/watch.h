// What happens to objects of one kind, told as it happens, for as long as somebody wants to know.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "compute/kubernetes/client/api.h"

namespace metaflow::kube {

enum class Change : std::uint8_t { added, modified, deleted };

struct WatchHandler {
  /// An object appeared, changed, or went. Of one that went while nobody looked only name, uid and resourceVersion in
  /// `metadata` are known.
  std::function<void(Change, Json&&)> on_change{};
  /// Everything that is there has been told; after each list.
  std::function<void()> on_synced{};
  /// The watch was interrupted and is taken up again after so many microseconds. Nothing will be missed.
  std::function<void(const CallFailure&, std::int64_t pause)> on_trouble{};
  /// The watch never came about, and trying again will not help: no permission, wrong credentials. It has ended.
  std::function<void(const CallFailure&)> on_failure{};
};

struct WatchOptions {
  net::RetryOptions retry{.first_delay = 200'000, .max_delay = 30'000'000};  // tries and budget do not matter
  /// A server ends a watch after so many seconds at the latest; up to half as many are added at random.
  int timeout_seconds = 300;
  /// Servers send a bookmark each minute: a connection that is quieter than this is dead.
  std::chrono::milliseconds idle_timeout{150'000};
};

/// Lists, then watches, from the version of the list on; takes the watch up again where it ended, and lists again when
/// that is too long ago. Keeps the names and versions of what is there. Not thread-safe; callbacks come from the loop.
/// They may destroy this; what one throws ends the watch, and comes out of the loop.
class Watch {
 public:
  /// `api` must outlive this.
  Watch(KubernetesApi& api, Resource resource, Selection selection, WatchHandler handler, WatchOptions options = {});
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  std::size_t objects() const;  // that are there

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace metaflow::kube
