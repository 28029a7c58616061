// Stops the compiler if it does not compile C++20, before it reports a hundred consequences.
#pragma once

#if __cplusplus < 202002L
#error "metaflow: flows are C++20: compile with -std=c++20; in CMake: target_compile_features(flow PRIVATE cxx_std_20)"
#include "metaflow: compile with -std=c++20"  // a missing file ends the compilation
#endif
