#include "net/call_queue.h"

#include <utility>

namespace metaflow::net {

CallQueue::CallQueue(base::EventLoop& loop, base::Clock& clock, HttpTransport& http, const CallLimits& limits,
                     std::function<double()> random)
    : loop_(loop),
      clock_(clock),
      http_(http),
      limits_(limits),
      random_(std::move(random)),
      bucket_(limits.calls_per_second, limits.burst),
      budget_(limits.retry.budget) {}

CallQueue::~CallQueue() {
  cancel_all();
  if (pump_timer_) loop_.cancel(*pump_timer_);
}

CallQueue::Id CallQueue::start(Order order) {
  const Id id = next_id_++;
  const RetryOptions retries = order.retry.value_or(limits_.retry);
  auto& line = order.lane == Lane::background ? background_ : waiting_;
  entries_.emplace(id, std::make_shared<Entry>(std::move(order), retries, budget_, [this] { return random_(); }));
  line.push_back(id);
  wake();
  return id;
}

void CallQueue::cancel(Id id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  Entry& entry = *found->second;
  if (entry.timer) loop_.cancel(*entry.timer);
  if (entry.transfer != 0) http_.cancel(entry.transfer);
  release_slot(entry);
  std::erase(entry.order.lane == Lane::background ? background_ : waiting_, id);
  entries_.erase(found);
  wake();
}

void CallQueue::cancel_all() {
  waiting_.clear();
  background_.clear();
  while (!entries_.empty()) cancel(entries_.begin()->first);
}

/// Waiting calls start from the loop: prepare() may throw, and may drive the transport.
void CallQueue::wake(std::int64_t wait) {
  if (pump_timer_ || (waiting_.empty() && background_.empty())) return;
  pump_timer_ = loop_.after(wait, [this] {
    pump_timer_.reset();
    pump();
  });
}

/// The queue of the next call; null if no call may start.
std::deque<CallQueue::Id>* CallQueue::next_queue() {
  const bool is_full = running_ >= limits_.calls_at_a_time;
  if (!waiting_.empty())
    return !is_full || entries_.at(waiting_.front())->order.lane == Lane::stream ? &waiting_ : nullptr;
  const bool has_place = !is_full && running_background_ < limits_.background_at_a_time;
  return !background_.empty() && has_place ? &background_ : nullptr;
}

/// Starts waiting calls while there are tokens and free slots.
void CallQueue::pump() {
  while (std::deque<Id>* line = next_queue()) {
    const Id id = line->front();
    if (limits_.calls_per_second > 0) {
      if (const std::int64_t wait = bucket_.take(clock_.monotonic_microseconds()); wait > 0) {
        if (!std::exchange(entries_.at(id)->delayed, true)) ++counters_.delayed;
        return wake(wait);
      }
    }
    line->pop_front();
    begin(id);
  }
}

void CallQueue::begin(Id id) {
  const std::shared_ptr<Entry> entry = entries_.at(id);  // shared: it may be cancelled meanwhile
  if (entry->order.lane != Lane::stream) {
    entry->running = true;
    ++running_;
    if (entry->order.lane == Lane::background) ++running_background_;
  }
  try {
    entry->order.call->prepare([this, id](ServiceCall::Prepared&& what) {
      if (entries_.contains(id)) prepared(id, std::move(what));
    });
  } catch (...) {
    cancel(id);
    throw;
  }
}

/// Retries go before new calls: an unfinished call may block others.
void CallQueue::restart(Id id) {
  (entries_.at(id)->order.lane == Lane::background ? background_ : waiting_).push_front(id);
  wake();
}

void CallQueue::release_slot(Entry& entry) {
  entry.transfer = 0;
  if (!std::exchange(entry.running, false)) return;
  --running_;
  if (entry.order.lane == Lane::background) --running_background_;
}

void CallQueue::prepared(Id id, ServiceCall::Prepared&& what) {
  Entry& entry = *entries_.at(id);
  if (!what.request) {
    // Not from prepare() itself.
    entry.timer = loop_.after(0, [this, id, transient = what.transient] {
      entries_.at(id)->timer.reset();
      failed(id, transient, std::nullopt);
    });
    return;
  }
  ++counters_.calls;
  if (!entry.order.kind.empty()) ++counters_.by_kind[entry.order.kind];
  if (std::exchange(entry.sent, true)) ++counters_.retries;
  entry.transfer =
      http_.start(std::move(*what.request), [this, id](Response&& response) { answered(id, std::move(response)); });
}

void CallQueue::answered(Id id, Response&& response) {
  const std::shared_ptr<Entry> entry = entries_.at(id);
  release_slot(*entry);
  wake();
  const bool ok = response.ok();
  const bool is_server_healthy = !is_transient(response);  // about the server, not the call
  if (response.status == 429) ++counters_.refused;
  // A server that answers with 5xx may have executed the request before it failed.
  const bool reached_server = response.failure ? response.failure->may_have_arrived : response.status >= 500;
  const auto asked = retry_after(response, clock_.wall_microseconds());
  ServiceCall::Decision decision;
  try {
    decision = entry->order.call->evaluate(std::move(response));
  } catch (...) {
    cancel(id);
    throw;
  }
  if (!entries_.contains(id)) return;
  switch (decision.next) {
    case ServiceCall::Next::retry_now: return restart(id);
    case ServiceCall::Next::retry:
      entry->may_have_executed = entry->may_have_executed || reached_server;
      return failed(id, true, asked ? asked : decision.delay);
    case ServiceCall::Next::finish:
      if (is_server_healthy) entry->retry.succeeded();
      entry->may_have_executed = entry->may_have_executed || (!ok && reached_server);
      return finish(id);
  }
}

/// Retries or finishes the call.
void CallQueue::failed(Id id, bool may_try_again, std::optional<std::int64_t> server_delay) {
  const std::shared_ptr<Entry> entry = entries_.at(id);
  release_slot(*entry);
  wake();
  const auto delay = may_try_again ? entry->retry.next_delay(server_delay) : std::nullopt;
  if (!delay) return finish(id);
  entry->timer = loop_.after(*delay, [this, id] {
    entries_.at(id)->timer.reset();
    restart(id);
  });
  entry->order.call->on_retry(*delay);
}

void CallQueue::finish(Id id) {
  const std::shared_ptr<Entry> entry = std::move(entries_.at(id));
  entries_.erase(id);
  entry->order.call->finish(entry->may_have_executed);
}

}  // namespace metaflow::net
