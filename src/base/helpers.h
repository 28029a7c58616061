// Threads that help the caller with work that it could do alone.
#pragma once

#include <system_error>
#include <thread>
#include <vector>

#include "base/failure_points.h"

namespace metaflow::base {

/// Starts threads that do `work`: `count`, or as many as can be had (of processes and threads there are not any
/// number). They are joined when the result goes.
template <class Work>
std::vector<std::jthread> start_helpers(unsigned count, const Work& work) {
  std::vector<std::jthread> helpers;
  helpers.reserve(count);
  try {
    while (helpers.size() < count && !fails_at("thread")) helpers.emplace_back(work);
  } catch (const std::system_error&) {  // fewer will do
  }
  return helpers;
}

}  // namespace metaflow::base
