// How many random histories a test plays.
#pragma once

#include <algorithm>
#include <cstdlib>

namespace metaflow::base {

/// `number`, or what the environment variable says. With a sanitizer a fifth: it looks for faults of memory and threads
/// in the code that the other builds prove right, and is ten times slower.
inline unsigned seeds(unsigned number, const char* variable = nullptr) {
  const char* const text = variable != nullptr ? std::getenv(variable) : nullptr;
  if (text != nullptr) return static_cast<unsigned>(std::atoi(text));
#ifdef METAFLOW_SANITIZED
  return std::max(1U, number / 5);
#else
  return number;
#endif
}

}  // namespace metaflow::base
