// fmt::format and related functions, at the compile time of fmt's core: the formatting code is compiled once, in
// format.cc. (Compiled in each source, from fmt's own headers, it took a third of the library's build time.)
//
// In its own namespace, so that a program with its own fmt can be linked with this library.
#pragma once

#define FMT_BEGIN_NAMESPACE \
  namespace fmt {           \
  inline namespace metaflow_own {
#define FMT_END_NAMESPACE \
  }                       \
  }
#include <fmt/core.h>
#if FMT_VERSION >= 110000  // from 11 on, the core has no fmt::format
#include <fmt/format.h>
#endif
