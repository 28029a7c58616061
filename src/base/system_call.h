// The wrapper of system calls in base/.
#pragma once

#include <cerrno>
#include <string_view>

#include "base/failure_points.h"

namespace metaflow::base {

/// Calls a system call, again if a signal interrupts it. `point`: see base/failure_points.h.
template <class Call>
auto system_call(std::string_view point, Call call) {
  using Result = decltype(call());
  auto once = [&] { return fails_at(point) ? Result{-1} : call(); };
  Result result = once();
  while (result < 0 && errno == EINTR) result = once();
  return result;
}

}  // namespace metaflow::base
