// Preloaded by test/e2e/chaos.py, for leases that end within seconds: the clock that counts suspended time, which only
// leases and claims ask, goes so many times as fast as METAFLOW_TEST_LEASE_SPEED says, and what waits by it, or for
// seconds by sleeping, waits less. The product knows nothing of it.
#include <dlfcn.h>
#include <sys/timerfd.h>
#include <time.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace {

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

std::int64_t speed() {
  static const std::int64_t found = [] {
    const char* const text = std::getenv("METAFLOW_TEST_LEASE_SPEED");
    return text == nullptr ? 1 : std::atoll(text);
  }();
  return found;
}

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr int kMostDescriptors = 1024;

std::int64_t nanoseconds(const timespec& time) { return std::int64_t{time.tv_sec} * kSecond + time.tv_nsec; }
timespec to_timespec(std::int64_t time) {
  return {static_cast<time_t>(time / kSecond), static_cast<long>(time % kSecond)};
}

std::atomic<bool> counts_suspended[kMostDescriptors];

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  static auto* const real = next<int(clockid_t, timespec*)>("clock_gettime");
  const int result = real(clock, now);
  if (clock == CLOCK_BOOTTIME && result == 0) *now = to_timespec(nanoseconds(*now) * speed());
  return result;
}

int timerfd_create(int clock, int flags) noexcept {
  static auto* const real = next<int(int, int)>("timerfd_create");
  const int fd = real(clock, flags);
  if (fd >= 0 && fd < kMostDescriptors) counts_suspended[fd] = clock == CLOCK_BOOTTIME;
  return fd;
}

int timerfd_settime(int fd, int flags, const itimerspec* at, itimerspec* before) noexcept {
  static auto* const real = next<int(int, int, const itimerspec*, itimerspec*)>("timerfd_settime");
  itimerspec sooner = *at;
  if (fd >= 0 && fd < kMostDescriptors && counts_suspended[fd])
    sooner.it_value = to_timespec(nanoseconds(at->it_value) / speed());
  return real(fd, flags, &sooner, before);
}

int nanosleep(const timespec* time, timespec* left) {
  static auto* const real = next<int(const timespec*, timespec*)>("nanosleep");
  const std::int64_t asked = nanoseconds(*time);
  // What waits for a lease looks every three seconds. Not the sleep of a thousand that a task leaves behind.
  const bool for_lease = asked >= kSecond && asked <= 10 * kSecond;
  const timespec sooner = to_timespec(for_lease ? asked / speed() : asked);
  return real(&sooner, left);
}

}  // extern "C"
