#include "base/clock.h"

#include <time.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace metaflow::base {

namespace {

std::int64_t read_clock(clockid_t id) {
  timespec now{};
  ::clock_gettime(id, &now);
  return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

std::string format(const tm& t, char separator, std::int64_t fraction, int digits) {
  std::array<char, 80> text;
  std::snprintf(text.data(), text.size(), "%04d-%02d-%02d%c%02d:%02d:%02d.%0*d", t.tm_year + 1900, t.tm_mon + 1,
                t.tm_mday, separator, t.tm_hour, t.tm_min, t.tm_sec, digits, static_cast<int>(fraction));
  return text.data();
}

}  // namespace

std::int64_t SystemClock::wall_microseconds() { return read_clock(CLOCK_REALTIME); }
std::int64_t SystemClock::monotonic_microseconds() { return read_clock(CLOCK_MONOTONIC); }
std::int64_t SystemClock::boot_microseconds() { return read_clock(CLOCK_BOOTTIME); }

std::int64_t Stamps::next() {
  last_ = std::max(last_ + 1, clock_.wall_microseconds());
  return last_;
}

std::string local_time(std::int64_t microseconds) {
  const time_t seconds = microseconds / 1'000'000;
  // localtime_r checks the time zone file each time; within a minute only the seconds change.
  static thread_local time_t minute = -1;
  static thread_local tm cached{};
  if (minute != seconds / 60) {
    const time_t begin = seconds / 60 * 60;
    ::localtime_r(&begin, &cached);
    minute = seconds / 60;
  }
  tm t = cached;
  t.tm_sec += static_cast<int>(seconds % 60);
  return format(t, ' ', microseconds % 1'000'000 / 1000, 3);
}

std::string utc_time(std::int64_t microseconds) {
  const time_t seconds = microseconds / 1'000'000;
  tm t{};
  ::gmtime_r(&seconds, &t);
  return format(t, 'T', microseconds % 1'000'000, 6);
}

}  // namespace metaflow::base
