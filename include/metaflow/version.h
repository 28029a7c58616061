// The version of this library.
#pragma once

#define METAFLOW_CPP_VERSION "0.1.0"

namespace metaflow {

/// "0.1.0 (C++)", as the commands print it.
inline constexpr const char* kVersionText = METAFLOW_CPP_VERSION " (C++)";

}  // namespace metaflow
