#include "net/call_queue.h"

#include <utility>

namespace metaflow::net {

CallQueue::CallQueue(base::EventLoop& loop, base::Clock& clock, const CallLimits& limits, const HttpOptions& http,
                     std::function<double()> random)
    : loop_(loop),
      clock_(clock),
      limits_(limits),
      random_(std::move(random)),
      bucket_(limits.calls_per_second, limits.burst),
      budget_(limits.retry.budget),
      http_(http) {
  http_.attach(loop_);
}

CallQueue::~CallQueue() {
  if (pump_timer_) loop_.cancel(*pump_timer_);
  for (auto& [id, entry] : entries_) {
    if (entry->timer) loop_.cancel(*entry->timer);
  }
}

CallQueue::Id CallQueue::start(Order order) {
  const Id id = next_id_++;
  RetryOptions retries = limits_.retry;
  if (order.tries > 0) retries.tries = order.tries;
  entries_.emplace(id, std::make_unique<Entry>(std::move(order), retries, budget_, [this] { return random_(); }));
  queue_.push_back(id);
  pump();
  return id;
}

void CallQueue::cancel(Id id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  Entry& entry = *found->second;
  if (entry.timer) loop_.cancel(*entry.timer);
  if (entry.transfer != 0) http_.cancel(entry.transfer);
  leave_place(entry);
  std::erase(queue_, id);
  entries_.erase(found);
  pump();
}

/// Begins what waits, as far as there are tokens and places.
void CallQueue::pump() {
  while (!queue_.empty()) {
    const Id id = queue_.front();
    Entry& entry = *entries_.at(id);
    if (!entry.order.is_stream && running_ >= limits_.calls_at_a_time) return;
    if (pump_timer_) return;
    if (const std::int64_t wait = bucket_.take(clock_.monotonic_microseconds()); wait > 0) {
      if (!std::exchange(entry.delayed, true)) ++counters_.delayed;
      pump_timer_ = loop_.after(wait, [this] {
        pump_timer_.reset();
        pump();
      });
      return;
    }
    queue_.pop_front();
    if (!entry.order.is_stream) {
      entry.running = true;
      ++running_;
    }
    entry.order.call->prepare([this, id](Calling::Prepared&& what) {
      if (entries_.contains(id)) prepared(id, std::move(what));
    });
  }
}

void CallQueue::leave_place(Entry& entry) {
  entry.transfer = 0;
  if (std::exchange(entry.running, false)) --running_;
}

void CallQueue::prepared(Id id, Calling::Prepared&& what) {
  Entry& entry = *entries_.at(id);
  if (!what.request) {
    // Not from within start().
    entry.timer = loop_.after(0, [this, id, transient = what.transient] {
      entries_.at(id)->timer.reset();
      failed(id, transient, std::nullopt);
    });
    return;
  }
  ++counters_.calls;
  ++counters_.by_kind[entry.order.kind];
  if (std::exchange(entry.sent, true)) ++counters_.retries;
  entry.transfer =
      http_.start(std::move(*what.request), [this, id](Response&& response) { answered(id, std::move(response)); });
}

void CallQueue::answered(Id id, Response&& response) {
  Entry& entry = *entries_.at(id);
  leave_place(entry);
  const bool ok = response.ok();
  if (response.status == 429) ++counters_.refused;
  // A server that answers so may have done it before it lost its head.
  const bool arrived = response.failure ? response.failure->may_have_arrived : response.status >= 500;
  const auto asked = retry_after(response, clock_.wall_microseconds());
  const Calling::Decision decision = entry.order.call->judge(std::move(response));
  switch (decision.next) {
    case Calling::Next::at_once: queue_.push_back(id); return pump();
    case Calling::Next::try_again:
      entry.arrived = entry.arrived || arrived;
      return failed(id, true, asked ? asked : decision.pause);
    case Calling::Next::finish:
      if (ok) entry.retry.succeeded();
      entry.arrived = entry.arrived || (!ok && arrived);
      return finish(id);
  }
}

/// Another try, or the end.
void CallQueue::failed(Id id, bool may_try_again, std::optional<std::int64_t> server_pause) {
  Entry& entry = *entries_.at(id);
  leave_place(entry);
  const auto pause = may_try_again ? entry.retry.next_pause(server_pause) : std::nullopt;
  if (!pause) return finish(id);
  entry.timer = loop_.after(*pause, [this, id] {
    entries_.at(id)->timer.reset();
    queue_.push_back(id);
    pump();
  });
  pump();
  entry.order.call->will_try_again(*pause);
}

void CallQueue::finish(Id id) {
  const bool arrived = entries_.at(id)->arrived;
  const std::unique_ptr<Calling> call = std::move(entries_.at(id)->order.call);
  entries_.erase(id);
  pump();
  call->finish(arrived);
}

}  // namespace metaflow::net
