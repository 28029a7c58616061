// Measurements that a flow prints for the benchmark, as a line "@name wall cpu peak": the clock and the processor time
// of this process in microseconds, its peak memory in KB. The clock is that of the machine, so stamps of different
// tasks can be subtracted.
#pragma once

#include <sys/resource.h>

#include <chrono>
#include <cstdio>

inline void stamp(const char* name) {
  using std::chrono::microseconds;
  const auto wall =
      std::chrono::duration_cast<microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto cpu = [](const timeval& t) { return static_cast<long long>(t.tv_sec) * 1'000'000 + t.tv_usec; };
  std::printf("@%s %lld %lld %ld\n", name, static_cast<long long>(wall), cpu(used.ru_utime) + cpu(used.ru_stime),
              used.ru_maxrss);
}
