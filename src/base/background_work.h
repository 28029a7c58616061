// Work that takes too long for an event loop: it runs on detached threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/event_loop.h"

namespace metaflow::base {

/// Starts a thread that is never joined, with signals blocked. `work` owns the data it uses, and must not throw. False:
/// no thread could be started.
bool start_detached(std::function<void()> work);
/// Number of detached threads that are still running. While there are any, a process must exit with end_process().
std::size_t detached_threads();

/// For the end of main: returns `status`. If detached threads are still running, it ends the process at once instead,
/// without destroying static objects that they may use.
int end_process(int status);
/// Ends the process after at most `microseconds`, even if it blocks then: writes `words` to standard error and exits
/// with `status`. Call once.
void end_process_within(std::int64_t microseconds, int status, std::string words);

/// Background calls of one event loop. Not thread-safe itself.
class BackgroundWork {
 public:
  /// The loop must outlive this object.
  explicit BackgroundWork(EventLoop& loop);
  /// Running threads are abandoned; their `done` is not called.
  ~BackgroundWork();
  BackgroundWork(const BackgroundWork&) = delete;
  BackgroundWork& operator=(const BackgroundWork&) = delete;

  /// Runs `work` on its own thread (on this one if none can be started), then calls `done` from the loop. `work` owns
  /// the data it uses, and must not throw. An exception of `done` leaves the loop.
  void start(std::function<void()> work, std::function<void()> done);
  /// Number of calls whose `done` has not been called yet.
  std::size_t running() const { return done_.size(); }

 private:
  struct Shared;
  void deliver();

  EventLoop& loop_;
  std::shared_ptr<Shared> shared_;  // shared with the threads
  std::map<std::uint64_t, std::function<void()>> done_;
  std::uint64_t next_ = 0;
};

}  // namespace metaflow::base
