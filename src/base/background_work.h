// Work that takes too long for an event loop. Threads do it; nobody joins them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/event_loop.h"

namespace metaflow::base {

/// Starts a thread that is never joined; signals are for other threads. `work` owns what it uses, and throws nothing.
/// False: no thread could be started.
bool start_detached(std::function<void()> work);
/// How many of those have not ended. A process that ends meanwhile uses end_process().
std::size_t detached_threads();

/// From the end of main: returns the status, unless detached threads are at work, who would meet a process that is half
/// gone: then it ends here, without destroying what is static.
int end_process(int status);
/// The process ends after so many microseconds at the latest, with this status and these words on standard error,
/// whatever it waits for then. Once.
void end_process_within(std::int64_t microseconds, int status, std::string words);

/// Calls of one event loop. Not thread-safe itself.
class BackgroundWork {
 public:
  /// The loop outlives this.
  explicit BackgroundWork(EventLoop& loop);
  /// Threads that are at work are left to themselves; their `done` is not called any more.
  ~BackgroundWork();
  BackgroundWork(const BackgroundWork&) = delete;
  BackgroundWork& operator=(const BackgroundWork&) = delete;

  /// Does the work on a thread of its own (in this one if there is none to be had), then calls `done` from the loop.
  /// `work` owns what it uses, and throws nothing. What `done` throws comes out of the loop.
  void start(std::function<void()> work, std::function<void()> done);
  /// How many have not been told as done.
  std::size_t running() const { return done_.size(); }

 private:
  struct Shared;
  void deliver();

  EventLoop& loop_;
  std::shared_ptr<Shared> shared_;  // with the threads
  std::map<std::uint64_t, std::function<void()>> done_;
  std::uint64_t next_ = 0;
};

}  // namespace metaflow::base
