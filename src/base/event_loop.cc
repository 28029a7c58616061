#include "base/event_loop.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <map>
#include <string>
#include <system_error>

#include "base/format.h"
#include "base/process.h"

namespace metaflow::base {

namespace {

std::int64_t nanoseconds_of(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

/// Of this thread: its voluntary context switches (those for waiting), and its page faults that read a disk.
rusage thread_usage() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage;
}

thread_local std::int64_t allowed_waits = 0;  // of this thread, in nanoseconds

/// For each thread of this process, by id: the nanoseconds for which it was ready to run but had no processor.
using RunDelays = std::map<std::string, std::int64_t>;

RunDelays run_delays() {
  RunDelays found;
  std::error_code ignored;  // a thread may end meanwhile
  for (std::filesystem::directory_iterator thread("/proc/self/task", ignored), end; thread != end;
       thread.increment(ignored)) {
    std::array<char, 128> text{};
    const Fd file(::open((thread->path() / "schedstat").c_str(), O_RDONLY | O_CLOEXEC));
    if (!file || ::read(file.get(), text.data(), text.size() - 1) <= 0) continue;
    const char* const second = std::strchr(text.data(), ' ');
    if (second != nullptr) found[thread->path().filename()] = std::strtoll(second, nullptr, 10);
  }
  return found;
}

/// The sum over all threads: a thread that needs a lock waits until the lock's holder gets a processor.
std::int64_t run_delay_since(const RunDelays& before) {
  std::int64_t sum = 0;
  for (const auto& [thread, now] : run_delays()) {
    const auto was = before.find(thread);
    sum += now - (was == before.end() ? 0 : was->second);
  }
  return sum;
}

}  // namespace

/// Uses the machine's clocks, not the loop's.
struct EventLoop::Watchdog {
  std::int64_t limit;  // nanoseconds
  std::function<void(const std::string&)> report;
  std::int64_t wall = 0;  // all in nanoseconds
  std::int64_t worked = 0;
  RunDelays delays{};
  std::int64_t allowed = 0;
  rusage usage{};

  void begin() {
    wall = nanoseconds_of(CLOCK_MONOTONIC);
    worked = nanoseconds_of(CLOCK_THREAD_CPUTIME_ID);
    delays = run_delays();
    allowed = allowed_waits;
    usage = thread_usage();
  }
  void check(const Place* place) {
    const std::int64_t passed = nanoseconds_of(CLOCK_MONOTONIC) - wall;
    if (wall == 0 || passed <= limit) return;
    const std::int64_t worked_since = nanoseconds_of(CLOCK_THREAD_CPUTIME_ID) - worked;
    const std::int64_t waited = passed - worked_since - (allowed_waits - allowed);
    if (waited <= limit) return;
    const rusage now = thread_usage();
    const std::int64_t delay = run_delay_since(delays);
    // Without a switch, a hypervisor has stopped the machine itself.
    if (now.ru_nvcsw == usage.ru_nvcsw || waited - delay <= limit) return;
    const std::string where = place == nullptr ? std::string("its caller, between two turns")
                                               : fmt::format("the callback of {}:{}, {}", place->file_name(),
                                                             place->line(), place->function_name());
    report(fmt::format(
        "The event loop was blocked for {} ms ({} waits, {} page faults that read a disk, {} ms without a "
        "processor) by {}",
        waited / 1'000'000, now.ru_nvcsw - usage.ru_nvcsw, now.ru_majflt - usage.ru_majflt, delay / 1'000'000, where));
  }
};

EventLoop::NoWaiting::NoWaiting(EventLoop& loop, std::int64_t milliseconds,
                                std::function<void(const std::string&)> report)
    : loop_(loop) {
  loop.watchdog_ = std::make_shared<Watchdog>(Watchdog{milliseconds * 1'000'000, std::move(report)});
}

EventLoop::NoWaiting::NoWaiting(EventLoop& loop) : loop_(loop) {
  static const char* const limit = std::getenv("METAFLOW_LOOP_WATCHDOG");
  if (limit == nullptr) return;
  loop.watchdog_ = std::make_shared<Watchdog>(Watchdog{std::atoll(limit) * 1'000'000, [](const std::string& what) {
                                                         const std::string line = what + "\n";
                                                         [[maybe_unused]] const ssize_t n =
                                                             ::write(2, line.data(), line.size());
                                                         std::abort();
                                                       }});
}

EventLoop::NoWaiting::~NoWaiting() { loop_.watchdog_.reset(); }

EventLoop::AllowedWait::AllowedWait() : begin_(nanoseconds_of(CLOCK_MONOTONIC)) {}
EventLoop::AllowedWait::~AllowedWait() { allowed_waits += nanoseconds_of(CLOCK_MONOTONIC) - begin_; }

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
  const std::shared_ptr<Watchdog> watchdog = watchdog_;
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
