#include "compute/remote/store_log.h"

#include <algorithm>

namespace metaflow::compute {

using store::Stream;

StoreLog::StoreLog(base::EventLoop& loop, ResultReader& results, JobEvents& events, const Attempt& attempt)
    : loop_(loop),
      results_(results),
      events_(events),
      id_(attempt.id),
      task_{attempt.step.run, attempt.step.step, attempt.step.task},
      attempt_(attempt.step.retry_count) {
  schedule();
}

StoreLog::~StoreLog() { stop(); }

void StoreLog::schedule() {
  timer_ = loop_.after(every_, [this] {
    timer_.reset();
    poll();
  });
}

void StoreLog::poll() {
  polling_ = true;
  results_.read_log(task_, attempt_, [this, alive = std::weak_ptr<bool>(alive_)](AttemptResult&& seen) {
    if (!alive.expired()) on_polled(seen);
  });
}

void StoreLog::on_polled(const AttemptResult& seen) {
  polling_ = false;
  if (stopped_) return;
  const std::size_t before = shown_out_ + shown_err_;
  show(Stream::out, seen.out, shown_out_);
  show(Stream::err, seen.err, shown_err_);
  if (finishing_) return events_.on_log_end(id_, true);
  const bool grew = shown_out_ + shown_err_ > before;
  every_ = grew ? kFirstPoll : std::min(every_ * 3 / 2, kSlowestPoll);
  schedule();
}

void StoreLog::show(Stream stream, const std::optional<std::string>& text, std::size_t& shown) {
  if (!text || text->size() <= shown) return;
  events_.on_log(id_, stream, std::string_view(*text).substr(shown));
  shown = text->size();
}

bool StoreLog::finish() {
  finishing_ = true;
  if (timer_) loop_.cancel(*timer_);
  timer_.reset();
  return !polling_;
}

void StoreLog::stop() {
  stopped_ = true;
  if (timer_) loop_.cancel(*timer_);
  timer_.reset();
}

std::string_view StoreLog::rest(Stream stream, std::string_view whole) const {
  return whole.substr(std::min(whole.size(), stream == Stream::out ? shown_out_ : shown_err_));
}

}  // namespace metaflow::compute
