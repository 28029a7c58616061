// The log of a running attempt, as its supervisor stores it: polled often while it grows, and less often while it does
// not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/event_loop.h"
#include "compute/remote/attempt_results.h"
#include "compute/remote/remote_jobs.h"

namespace metaflow::compute {

/// Driven by the loop; not thread-safe.
class StoreLog : public LiveLog {
 public:
  static constexpr std::int64_t kFirstPoll = 1'000'000;  // microseconds
  static constexpr std::int64_t kSlowestPoll = 30'000'000;

  /// The references outlive this. Reports events of `attempt` to `events`.
  StoreLog(base::EventLoop& loop, ResultReader& results, JobEvents& events, const Attempt& attempt);
  ~StoreLog() override;
  StoreLog(const StoreLog&) = delete;
  StoreLog& operator=(const StoreLog&) = delete;

  bool finish() override;
  void stop() override;
  bool needs_stored_log() const override { return true; }
  std::string_view rest(store::Stream stream, std::string_view whole) const override;

 private:
  void schedule();
  void poll();
  void on_polled(const AttemptResult& seen);
  void show(store::Stream stream, const std::optional<std::string>& text, std::size_t& shown);

  base::EventLoop& loop_;
  ResultReader& results_;
  JobEvents& events_;
  AttemptId id_;
  store::TaskRef task_;
  int attempt_;
  std::int64_t every_ = kFirstPoll;
  std::optional<base::EventLoop::Timer> timer_;
  bool polling_ = false;
  bool finishing_ = false;
  bool stopped_ = false;
  std::size_t shown_out_ = 0;  // reported bytes
  std::size_t shown_err_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace metaflow::compute
