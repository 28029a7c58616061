#include "base/loop_watchdog.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/format.h"
#include "base/stacktrace.h"

namespace metaflow::base {

namespace {

using RunDelays = std::map<std::string, std::int64_t>;

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

thread_local std::int64_t allowed_waits = 0;  // of this thread

/// The begin of a file; its end is zeros.
std::array<char, 256> begin_of(const char* path) {
  std::array<char, 256> text{};
  const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
  if (!file || ::read(file.get(), text.data(), text.size() - 1) < 0) text[0] = '\0';
  return text;
}

/// For each thread of this process, by id: the time for which it was ready to run but had no processor.
RunDelays run_delays() {
  RunDelays found;
  std::error_code ignored;  // a thread may end meanwhile
  for (std::filesystem::directory_iterator thread("/proc/self/task", ignored), end; thread != end;
       thread.increment(ignored)) {
    const auto text = begin_of((thread->path() / "schedstat").c_str());
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

/// What the hypervisor took from all processors while they had work: the eighth number of proc_stat(5).
std::int64_t stolen_time() {
  constexpr int kSteal = 8;
  static const std::int64_t tick = 1'000'000'000 / ::sysconf(_SC_CLK_TCK);
  const auto text = begin_of("/proc/stat");
  const char* at = text.data();
  for (int field = 0; field < kSteal && at != nullptr; ++field) {
    at = std::strchr(at, ' ');
    while (at != nullptr && *at == ' ') ++at;
  }
  return at == nullptr ? 0 : std::strtoll(at, nullptr, 10) * tick;
}

/// Calls that wait for no one but the kernel itself: a socket was made in 317 ms where Docker built networks beside it.
bool waits_for_kernel_only(std::string_view function) { return function == "socket" || function == "__socket"; }

thread_local RawStack stack;
thread_local volatile sig_atomic_t has_stack = 0;

int timer_signal() { return SIGRTMIN + 5; }

void take_stack(int) {
  const int error = errno;
  stack = capture_stack();
  has_stack = 1;
  errno = error;
}

}  // namespace

LoopWatchdog::LoopWatchdog(std::int64_t milliseconds, std::function<void(const std::string&)> report)
    : limit_(milliseconds * 1'000'000), report_(std::move(report)) {
  struct sigaction action {};
  action.sa_handler = take_stack;
  action.sa_flags = SA_RESTART;
  ::sigaction(timer_signal(), &action, nullptr);
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = timer_signal();
  event._sigev_un._tid = ::gettid();
  has_timer_ = ::timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0;
}

LoopWatchdog::~LoopWatchdog() {
  if (has_timer_) ::timer_delete(timer_);
}

std::int64_t LoopWatchdog::now() { return nanoseconds_of(CLOCK_MONOTONIC); }

void LoopWatchdog::allow(std::int64_t nanoseconds) { allowed_waits += nanoseconds; }

void LoopWatchdog::set_timer(std::int64_t nanoseconds) {
  if (!has_timer_) return;
  itimerspec when{};
  when.it_value.tv_sec = nanoseconds / 1'000'000'000;
  when.it_value.tv_nsec = nanoseconds % 1'000'000'000;
  ::timer_settime(timer_, 0, &when, nullptr);
}

void LoopWatchdog::begin() {
  worked_ = nanoseconds_of(CLOCK_THREAD_CPUTIME_ID);
  delays_ = run_delays();
  stolen_ = stolen_time();
  allowed_ = allowed_waits;
  usage_ = thread_usage();
  has_stack = 0;
  wall_ = now();
  set_timer(time_of_stack());
}

void LoopWatchdog::check(const std::source_location* place) {
  if (wall_ == 0) return;
  set_timer(0);
  const std::int64_t passed = now() - wall_;
  if (passed <= limit_) return;
  const std::int64_t worked = nanoseconds_of(CLOCK_THREAD_CPUTIME_ID) - worked_;
  const std::int64_t waited = passed - worked - (allowed_waits - allowed_);
  if (waited <= limit_) return;
  const rusage usage = thread_usage();
  const std::int64_t delay = run_delay_since(delays_);
  const std::int64_t stolen = stolen_time() - stolen_;
  // Without a switch, a hypervisor has stopped the machine itself.
  if (usage.ru_nvcsw == usage_.ru_nvcsw || waited - delay - stolen <= limit_) return;
  const std::vector<std::string> frames = has_stack != 0 ? describe(locate(stack)) : std::vector<std::string>();
  if (!frames.empty() && waits_for_kernel_only(frames[0])) return;
  std::string words = fmt::format(
      "The event loop was blocked for {} ms ({} waits, {} page faults that read a disk, {} ms without a processor) by ",
      waited / 1'000'000, usage.ru_nvcsw - usage_.ru_nvcsw, usage.ru_majflt - usage_.ru_majflt,
      (delay + stolen) / 1'000'000);
  words += place == nullptr
               ? "its caller, between two turns"
               : fmt::format("the callback of {}:{}, {}", place->file_name(), place->line(), place->function_name());
  if (!frames.empty()) {
    words += fmt::format(". After {} ms it was here:", time_of_stack() / 1'000'000);
    for (const std::string& frame : frames) words += "\n  " + frame;
  }
  report_(words);
}

}  // namespace metaflow::base
