// Heartbeats of a run and its tasks, which show the service's readers what is running.
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

/// Sends one heartbeat per object and period, if the service keeps up. A lost heartbeat is not repeated. Not
/// thread-safe.
class Heartbeats {
 public:
  Heartbeats(ServiceClient& client, base::EventLoop& loop, base::Clock& clock)
      : client_(client), loop_(loop), clock_(clock) {}
  ~Heartbeats();
  Heartbeats(const Heartbeats&) = delete;
  Heartbeats& operator=(const Heartbeats&) = delete;

  /// `path`: "/flows/Sweep/runs/17". `delay`: microseconds until the first heartbeat.
  void start(const std::string& path, std::int64_t delay);
  void stop(const std::string& path);

 private:
  void arm();
  void beat();
  void add(const std::string& path, std::int64_t delay);

  ServiceClient& client_;
  base::EventLoop& loop_;
  base::Clock& clock_;
  std::map<std::string, std::int64_t> due_;  // 0: a request is in flight
  std::set<std::pair<std::int64_t, std::string>> queue_;
  std::optional<base::EventLoop::Timer> timer_;
  std::int64_t timer_at_ = 0;
};

}  // namespace metaflow::store
