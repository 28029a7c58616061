// Helper threads for work that the caller could also do alone.
#pragma once

#include <system_error>
#include <thread>
#include <vector>

#include "base/failure_points.h"

namespace metaflow::base {

/// Starts threads that run `work`: `count`, or as many as the system's limits allow. They are joined when the result is
/// destroyed.
template <class Work>
std::vector<std::jthread> start_helpers(unsigned count, const Work& work) {
  std::vector<std::jthread> helpers;
  helpers.reserve(count);
  try {
    while (helpers.size() < count && !fails_at("thread")) helpers.emplace_back(work);
  } catch (const std::system_error&) {  // fewer threads are enough
  }
  return helpers;
}

}  // namespace metaflow::base
