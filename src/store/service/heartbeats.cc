#include "store/service/heartbeats.h"

#include <algorithm>

#include "base/json.h"
#include "store/service/service_rows.h"

namespace metaflow::store {

Heartbeats::~Heartbeats() {
  if (timer_) loop_.cancel(*timer_);
}

void Heartbeats::start(const std::string& path, std::int64_t delay) {
  stop(path);
  add(path, delay);
  arm();
}

void Heartbeats::add(const std::string& path, std::int64_t delay) {
  const std::int64_t due = clock_.monotonic_microseconds() + delay;
  due_[path] = due;
  queue_.emplace(due, path);
}

void Heartbeats::stop(const std::string& path) {
  const auto found = due_.find(path);
  if (found == due_.end()) return;
  queue_.erase({found->second, path});
  due_.erase(found);
}

void Heartbeats::arm() {
  if (queue_.empty()) return;
  const std::int64_t due = queue_.begin()->first;
  if (timer_ && timer_at_ <= due) return;
  if (timer_) loop_.cancel(*timer_);
  timer_at_ = due;
  timer_ = loop_.after(std::max<std::int64_t>(due - clock_.monotonic_microseconds(), 0), [this] {
    timer_.reset();
    beat();
    arm();
  });
}

void Heartbeats::beat() {
  const std::int64_t now = clock_.monotonic_microseconds();
  while (!queue_.empty() && queue_.begin()->first <= now) {
    const std::string path = queue_.begin()->second;
    queue_.erase(queue_.begin());
    due_[path] = 0;
    // 404: the previous heartbeat was less than a period ago, or came with that of a task.
    client_.start({.method = "POST", .path = path + "/heartbeat", .body = "{}", .background = true},
                  [this, path](ServiceAnswer&& answer) {
                    const auto found = due_.find(path);
                    if (found == due_.end() || found->second != 0) return;  // stopped, or started again
                    add(path, heartbeat_period(answer.ok() ? answer.json : base::Json()));
                    arm();
                  });
  }
}

}  // namespace metaflow::store
