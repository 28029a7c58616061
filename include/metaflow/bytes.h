// Binary data: bytes in Python.
#pragma once

#include <string>
#include <utility>

namespace metaflow {

/// A string that need not be UTF-8; bytes in Python.
struct Bytes : std::string {
  using std::string::string;
  /// The bytes of a string.
  Bytes(std::string text) : std::string(std::move(text)) {}
};

}  // namespace metaflow
