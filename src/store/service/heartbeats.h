// Signs of life of a run and its tasks, from which the service's readers see what is running.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/event_loop.h"
#include "store/service/service_client.h"

namespace metaflow::store {

/// Each object gets one per period, as well as the service keeps up; a lost one is not made up for. Not thread-safe.
class Heartbeats {
 public:
  Heartbeats(ServiceClient& client, base::EventLoop& loop, base::Clock& clock)
      : client_(client), loop_(loop), clock_(clock) {}
  ~Heartbeats();
  Heartbeats(const Heartbeats&) = delete;
  Heartbeats& operator=(const Heartbeats&) = delete;

  /// `path`: "/flows/Sweep/runs/17". `delay`: microseconds until the first one.
  void start(const std::string& path, std::int64_t delay);
  void stop(const std::string& path);

 private:
  void arm();
  void beat();
  void add(const std::string& path, std::int64_t delay);

  ServiceClient& client_;
  base::EventLoop& loop_;
  base::Clock& clock_;
  std::map<std::string, std::int64_t> due_;  // 0: a request is on its way
  std::set<std::pair<std::int64_t, std::string>> queue_;
  std::optional<base::EventLoop::Timer> timer_;
  std::int64_t timer_at_ = 0;
};

}  // namespace metaflow::store
