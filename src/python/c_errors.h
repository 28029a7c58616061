// The errors of the C interfaces for Python.
#pragma once

#include <exception>
#include <string>

namespace metaflow::python {

/// The text of the last error of this thread.
std::string& last_error();

/// Calls `f`; an exception becomes `failed`, and the last error.
template <class T, class F>
T guarded(T failed, F f) {
  try {
    return f();
  } catch (const std::exception& error) {
    last_error() = error.what();
  } catch (...) {
    last_error() = "an unknown error";
  }
  return failed;
}

}  // namespace metaflow::python
