// Helpers for tests of values: write and read payloads in one line.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include <metaflow/codec.h>
#include <metaflow/error.h>

#include "base/text.h"
#include "value/unpickler.h"

namespace metaflow::value {

inline std::string flat(const detail::Pickler& pickler) {
  std::string text;
  for (const auto& part : pickler.parts()) text += base::as_text(part);
  return text;
}

/// The payload of one value.
template <class T>
std::string pickled(const T& value) {
  detail::Pickler pickler;
  detail::encode(pickler, value);
  pickler.finish();
  return flat(pickler);
}

inline Document read(std::string payload) { return read_pickle(base::SharedBytes(std::move(payload))); }

/// A payload of protocol 4 with these opcodes.
inline std::string program(std::string_view opcodes) { return "\x80\x04" + std::string(opcodes) + "."; }

template <class T>
T round_trip(const T& value) {
  return read(pickled(value)).template as<T>();
}

/// The Error that a function throws; the test fails if it throws none.
template <class F>
Error error_of(F f) {
  try {
    f();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no Error was thrown";
  return Error(ErrorCode::internal, "none");
}

/// The message of the Error{invalid_value} that reading a value as a T throws.
template <class T>
std::string mismatch(const Value& value, const detail::Place& place = {}) {
  const Error error = error_of([&] {
    T into{};
    detail::decode(value, place, into);
  });
  EXPECT_EQ(error.code(), ErrorCode::invalid_value);
  return error.message();
}

}  // namespace metaflow::value
