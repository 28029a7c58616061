// The exception that catch_ caught, as an artifact.
#pragma once

#include <string>

#include <metaflow/codec.h>

namespace metaflow {

/// Why a task failed whose failure was caught by catch_. In Python: a MetaflowExceptionWrapper, with the attributes
/// exception, type and stacktrace.
struct CaughtException {
  std::string type;        ///< "std::out_of_range", or one of those below
  std::string exception;   ///< the message, what()
  std::string stacktrace;  ///< lines

  /// CaughtException::type if the process of the task died.
  static constexpr const char* kProcessDied = "metaflow.plugins.catch_decorator.FailureHandledByCatch";
  /// CaughtException::type if the attempt timed out.
  static constexpr const char* kTimedOut = "metaflow.plugins.timeout_decorator.TimeoutException";
};

namespace detail {

template <>
struct Convert<CaughtException> {
  static constexpr bool kStorable = true;
  static constexpr unsigned kCategory = kException;
  static void encode(Pickler& out, const CaughtException& value);
  static void decode(const Value& value, const Place& place, CaughtException& into);
};

}  // namespace detail
}  // namespace metaflow
