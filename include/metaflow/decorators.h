// Decorators: what a step asks of the system that executes it. Plain structs, given to mf::step or, by name, to --with.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <metaflow/batch.h>
#include <metaflow/detail/decorator.h>
#include <metaflow/kubernetes.h>

namespace metaflow {

/// What a task needs: a hint, which takes effect through a decorator that names a platform (`--with
/// resources:cpu=4,memory=8000`).
struct resources {
  double cpu = 1;                      // cores
  std::optional<int> gpu{};            // devices
  std::optional<double> disk{};        // MB
  double memory = 4096;                // MB
  std::optional<int> shared_memory{};  // MiB
};

/// Environment variables of a task, set before its process starts.
struct environment {
  std::map<std::string, std::string> vars{};
};

/// Tries a task again that failed, for whatever reason: an exception, a signal, a timeout.
struct retry {
  int times = 3;  // besides the first try; at most 4
  /// No worker waits for it. Nothing: none on this machine, 2 minutes on others.
  std::optional<double> minutes_between_retries{};
};

/// Stops a try that takes longer than the sum of these. Counts as a failure: retry and catch_ apply.
struct timeout {
  double seconds = 0;
  double minutes = 0;
  double hours = 0;
};

/// Lets the run go on when the last try of a task has failed. The task keeps what the step had set before it threw; if
/// its process died, what it began with.
struct catch_ {
  std::string var{};            // an artifact that holds a CaughtException, or nothing if the step succeeded: a member
                                // std::optional<mf::CaughtException>, or, for readers in Python only, any other name
  bool print_exception = true;  // in the log of the task
};

/// Executes on this machine, and honours `resources` here: a task starts when its cores, memory and GPUs are free.
struct local {
  bool enforce = false;  // the memory of `resources` is a hard limit
};

detail::Decorator make_decorator(const resources& decorator);
detail::Decorator make_decorator(const environment& decorator);
detail::Decorator make_decorator(const retry& decorator);
detail::Decorator make_decorator(const timeout& decorator);
detail::Decorator make_decorator(const catch_& decorator);
detail::Decorator make_decorator(const local& decorator);

}  // namespace metaflow
