// By which variables a job knows which it is.
#pragma once

namespace metaflow::process_platform {

inline constexpr const char* kJobVariable = "PROCESS_JOB";      // its id
inline constexpr const char* kPlaceVariable = "PROCESS_PLACE";  // its number in an array, from 0

}  // namespace metaflow::process_platform
