// Watches the objects of one kind, and reports their changes.
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
  /// An object was added, changed or deleted. Of an object that was deleted between two watches, only name, uid and
  /// resourceVersion in `metadata` are known.
  std::function<void(Change, Json&&)> on_change{};
  /// All existing objects were reported; called after each list.
  std::function<void()> on_synced{};
  /// The watch was interrupted, and is restarted after `pause` microseconds. No change is missed.
  std::function<void(const CallFailure&, std::int64_t pause)> on_trouble{};
  /// The watch never succeeded, and a retry will not help: no permission, wrong credentials. The watch has ended.
  std::function<void(const CallFailure&)> on_failure{};
};

struct WatchOptions {
  net::RetryOptions retry{.first_delay = 200'000, .max_delay = 30'000'000};  // tries and budget are ignored
  /// A server ends a watch after so many seconds at the latest; up to half as many are added at random.
  int timeout_seconds = 300;
  /// Servers send a bookmark each minute: a connection that is silent for longer is dead.
  std::chrono::milliseconds idle_timeout{150'000};
};

/// Lists objects, then watches them from the version of the list on. Restarts the watch where it ended, and lists again
/// if that version is too old. Keeps the names and versions of existing objects. Not thread-safe; callbacks come from
/// the loop. They may destroy this; an exception of a callback ends the watch, and leaves the loop.
class Watch {
 public:
  /// `api` must outlive this.
  Watch(KubernetesApi& api, Resource resource, Selection selection, WatchHandler handler, WatchOptions options = {});
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  std::size_t objects() const;  // that exist

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace metaflow::kube
