#include "compute/remote/notices.h"

#include <algorithm>

#include "base/format.h"
#include "base/text.h"

namespace metaflow::compute {

Notices::~Notices() {
  if (flushing_) loop_.cancel(*flushing_);
  if (repeating_) loop_.cancel(*repeating_);
}

void Notices::report(AttemptId attempt, const std::string& step, const std::string& text, bool usual) {
  fresh_[{step, text, usual}].push_back(attempt);
  gather();
}

void Notices::set_waiting(AttemptId attempt, const std::string& step, const std::string& text) {
  Waiting& waiting = waiting_[attempt];
  if (waiting.text == text) return;
  waiting = {step, text, waiting.text.empty() ? clock_.monotonic_microseconds() : waiting.since};
  const Kind kind{step, text, false};
  const std::int64_t now = clock_.monotonic_microseconds();
  const auto [reported, is_new] = reported_.try_emplace(kind, now);
  if (is_new || fresh_.contains(kind) || now - reported->second >= kRepeatEvery) {
    reported->second = now;
    report(attempt, step, text);
  }
  if (!repeating_) repeating_ = loop_.after(kRepeatEvery, [this] { repeat(); });
}

void Notices::clear(AttemptId attempt) {
  waiting_.erase(attempt);
  for (auto& [kind, attempts] : fresh_) std::erase(attempts, attempt);
}

void Notices::gather() {
  if (!flushing_) flushing_ = loop_.after(kGather, [this] { flush(); });
}

void Notices::flush() {
  flushing_.reset();
  const auto fresh = std::exchange(fresh_, {});
  for (const auto& [kind, attempts] : fresh) {
    if (!attempts.empty()) events_.on_notice(attempts, kind.text, kind.usual);
  }
}

void Notices::repeat() {
  repeating_.reset();
  const std::int64_t now = clock_.monotonic_microseconds();
  std::erase_if(reported_, [&](const auto& kind) { return now - kind.second >= kRepeatEvery; });
  if (waiting_.empty()) return;
  std::map<Kind, std::vector<AttemptId>> still;
  std::map<Kind, std::int64_t> since;
  for (const auto& [attempt, waiting] : waiting_) {
    const Kind kind{waiting.step, waiting.text, false};
    still[kind].push_back(attempt);
    const auto [first, is_new] = since.emplace(kind, waiting.since);
    first->second = std::min(first->second, waiting.since);
  }
  for (const auto& [kind, attempts] : still) {
    const double seconds = static_cast<double>(now - since.at(kind)) * 1e-6;
    reported_[kind] = now;
    events_.on_notice(attempts, fmt::format("{} (waiting for {})", kind.text, base::human_seconds(seconds)), false);
  }
  repeating_ = loop_.after(kRepeatEvery, [this] { repeat(); });
}

}  // namespace metaflow::compute
