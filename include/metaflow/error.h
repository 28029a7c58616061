// The one exception type of this library.
#pragma once

#include <exception>
#include <string>
#include <string_view>

namespace metaflow {

/// The kind of an error, for code that reacts to it. Each code has a headline, the first line of what a user sees, and
/// an exit code: 2 for `usage`, 1 for the others.
enum class ErrorCode {
  usage,              // the command line is invalid: unknown option, missing argument
  invalid_command,    // a valid command line whose command cannot be executed
  invalid_flow,       // the graph, a decorator or a parameter of the flow breaks a rule
  unknown_decorator,  // --with names a decorator that does not exist
  unknown_attribute,  // a decorator has no such attribute
  invalid_value,      // a value does not fit the type it is read into, or cannot be stored
  not_found,          // no such flow, run, step, task or artifact
  data_store,         // the store could not be read or written
  data_missing,       // the store lacks an object that it must have
  metadata_service,   // the metadata service refused a request, or could not be reached
  merge_conflict,     // Inputs::merge: branches disagree
  merge_missing,      // Inputs::merge: an included artifact is in no branch
  tagging,            // a tag breaks a rule
  unknown_user,       // no user name could be determined
  out_of_memory,      // an allocation failed
  step_failure,       // a task of the run failed
  item_failure,       // an item of parallel_map failed
  platform,           // a request to a platform (a cluster, a cloud) failed or was refused
  interrupted,        // Ctrl-C or SIGTERM
  internal,           // a defect of this library
};

/// Thrown for every error that ends a command or a step. The message names the operation and the object; the hint says
/// what to do next. Control characters in them are escaped: "\x1b[2J". Thread-safe like any exception object.
class Error : public std::exception {
 public:
  /// An error. Control characters in both texts are escaped.
  Error(ErrorCode code, std::string message, std::string hint = {});
  /// An error with ErrorCode::platform. `platform`: the name, "Kubernetes".
  static Error of_platform(std::string_view platform, std::string message, std::string hint = {});

  /// The kind.
  ErrorCode code() const noexcept { return code_; }
  /// The operation, the object and the cause.
  const std::string& message() const noexcept { return message_; }
  /// The next command or change; may be empty.
  const std::string& hint() const noexcept { return hint_; }
  /// "Invalid command", "Data store error", "Kubernetes error": Metaflow's words.
  std::string headline() const;

  /// The message and, on a line of its own, the hint.
  const char* what() const noexcept override { return text_.c_str(); }

  /// The same error with `words` before its message: callers add context with it.
  Error prefixed(std::string_view words) const;

 private:
  ErrorCode code_;
  std::string message_;
  std::string hint_;
  std::string platform_;  // of ErrorCode::platform
  std::string text_;
};

}  // namespace metaflow
