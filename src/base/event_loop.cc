#include "base/event_loop.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <iterator>

#include "base/loop_watchdog.h"
#include "base/process.h"

namespace metaflow::base {

EventLoop::NoWaiting::NoWaiting(EventLoop& loop, std::int64_t milliseconds,
                                std::function<void(const std::string&)> report)
    : loop_(loop) {
  loop.watchdog_ = std::make_shared<LoopWatchdog>(milliseconds, std::move(report));
}

EventLoop::NoWaiting::NoWaiting(EventLoop& loop) : loop_(loop) {
  static const char* const limit = std::getenv("METAFLOW_LOOP_WATCHDOG");
  if (limit == nullptr) return;
  loop.watchdog_ = std::make_shared<LoopWatchdog>(std::atoll(limit), [](const std::string& what) {
    const std::string line = what + "\n";
    [[maybe_unused]] const ssize_t n = ::write(2, line.data(), line.size());
    std::abort();
  });
}

EventLoop::NoWaiting::~NoWaiting() { loop_.watchdog_.reset(); }

EventLoop::AllowedWait::AllowedWait() : begin_(LoopWatchdog::now()) {}
EventLoop::AllowedWait::~AllowedWait() { LoopWatchdog::allow(LoopWatchdog::now() - begin_); }

EventLoop::EventLoop(Clock& clock) : clock_(clock), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) throw_errno("create", "an epoll instance", errno);
}

void EventLoop::watch(int fd, std::function<void()> readable, const Place& place) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) throw_errno("watch", "a file descriptor", errno);
  watched_[fd] = std::make_shared<Callback>(Callback{std::move(readable), place});
}

void EventLoop::unwatch(int fd) {
  if (watched_.erase(fd) > 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::Timer EventLoop::after(std::int64_t microseconds, std::function<void()> callback, const Place& place) {
  const Timer timer = next_timer_++;
  const std::int64_t deadline = clock_.monotonic_microseconds() + microseconds;
  timers_.emplace(std::pair(deadline, timer), Callback{std::move(callback), place});
  deadlines_[timer] = deadline;
  return timer;
}

void EventLoop::cancel(Timer timer) {
  const auto found = deadlines_.find(timer);
  if (found == deadlines_.end()) return;
  timers_.erase({found->second, timer});
  deadlines_.erase(found);
}

std::optional<std::int64_t> EventLoop::next_deadline() const {
  if (timers_.empty()) return std::nullopt;
  return timers_.begin()->first.first;
}

void EventLoop::call(const Callback& callback) {
  const std::shared_ptr<LoopWatchdog> watchdog = watchdog_;
  if (watchdog) watchdog->begin();
  callback.function();
  if (watchdog) watchdog->check(&callback.place);
}

void EventLoop::run(bool wait) {
  if (watchdog_) watchdog_->check(nullptr);
  int timeout = wait ? -1 : 0;
  if (const auto deadline = next_deadline(); wait && deadline) {
    const std::int64_t wait = *deadline - clock_.monotonic_microseconds();
    timeout = wait <= 0 ? 0 : static_cast<int>(std::min<std::int64_t>((wait + 999) / 1000, 1'000'000));
  }
  std::array<epoll_event, 64> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout);
  if (count < 0 && errno != EINTR) throw_errno("wait for", "events", errno);
  for (int i = 0; i < count; ++i) {
    const auto found = watched_.find(events[static_cast<std::size_t>(i)].data.fd);
    if (found == watched_.end()) continue;  // unwatched by an earlier callback
    const auto callback = found->second;    // it may unwatch itself
    call(*callback);
  }
  while (!timers_.empty() && timers_.begin()->first.first <= clock_.monotonic_microseconds()) {
    auto due = timers_.extract(timers_.begin());
    deadlines_.erase(due.key().second);
    call(due.mapped());
  }
  if (watchdog_) watchdog_->begin();
}

SignalReader::SignalReader(const std::vector<int>& signals) {
  // Linux queues a blocked signal even if it is ignored.
  std::copy_if(signals.begin(), signals.end(), std::back_inserter(signals_), [](int s) { return !is_ignored(s); });
  sigset_t set;
  sigemptyset(&set);
  for (int signal : signals_) sigaddset(&set, signal);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  fd_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd_) throw_errno("create", "a signalfd", errno);
}

/// Drops signals that were not read: they were meant for the finished operation, and must not end the next one.
SignalReader::~SignalReader() {
  while (next() != 0) continue;
  sigset_t set;
  sigemptyset(&set);
  for (int signal : signals_) sigaddset(&set, signal);
  ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

int SignalReader::next() {
  signalfd_siginfo info{};
  return ::read(fd_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info) ? static_cast<int>(info.ssi_signo)
                                                                                    : 0;
}

}  // namespace metaflow::base
