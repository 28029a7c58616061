// The logs of attempts that go on, as their supervisors store them: looked at often while they grow, and less often
// while they do not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/event_loop.h"
#include "compute/backend.h"
#include "compute/leftovers.h"
#include "store/flow_store.h"

namespace metaflow::awsbatch {

/// Driven by the loop; not thread-safe.
class LogFollower {
 public:
  struct Events {
    std::function<void(compute::AttemptId, store::Stream, std::string_view)> on_output;
    /// A look that was under way when stop() was called is over.
    std::function<void(compute::AttemptId)> on_stopped;
  };

  /// All references outlive this. `most`: logs that are followed at a time.
  LogFollower(base::EventLoop& loop, compute::LeftoverReader& leftovers, Events events, std::size_t most);
  ~LogFollower();
  LogFollower(const LogFollower&) = delete;
  LogFollower& operator=(const LogFollower&) = delete;

  /// Unless there are as many as may be.
  void follow(compute::AttemptId id, store::TaskRef task, int attempt);
  /// It is followed no longer. False: a look is under way, and on_stopped will tell of its end.
  bool stop(compute::AttemptId id);
  /// Tells what was not told yet.
  void show(compute::AttemptId id, const std::optional<std::string>& out, const std::optional<std::string>& err);
  /// Of an attempt that is over, or begins anew.
  void forget(compute::AttemptId id);

 private:
  struct Log {
    store::TaskRef task{};
    int attempt = 0;
    bool followed = false;
    bool looking = false;
    std::int64_t every = 0;
    std::optional<base::EventLoop::Timer> timer{};
    std::size_t shown_out = 0;  // bytes that were told
    std::size_t shown_err = 0;
  };

  void schedule(compute::AttemptId id, Log& log);
  void look(compute::AttemptId id);

  base::EventLoop& loop_;
  compute::LeftoverReader& leftovers_;
  Events events_;
  std::size_t most_;
  std::size_t followed_ = 0;
  std::unordered_map<compute::AttemptId, Log> logs_;
};

}  // namespace metaflow::awsbatch
