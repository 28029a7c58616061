// fmt::format and its relatives, at the price of fmt's core: what formats is compiled once, in format.cc. (Compiled
// anew in each source, as fmt's headers alone would have it, it took a third of the library's time to build.)
//
// In a namespace of its own, so that a program that brings its own fmt can be linked with this library.
#pragma once

#define FMT_BEGIN_NAMESPACE \
  namespace fmt {           \
  inline namespace metaflow_own {
#define FMT_END_NAMESPACE \
  }                       \
  }
#include <fmt/core.h>
