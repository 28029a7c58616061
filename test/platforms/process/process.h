// The decorator of steps that are executed as processes which a runner of this machine starts: a platform for tests.
#pragma once

#include <metaflow/decorators.h>

namespace metaflow {

/// Executes by the runner of METAFLOW_PROCESS_SPOOL, as a process per attempt.
struct process {
  int slots = 0;       // tasks of the step at a time; 0: all
  double seconds = 0;  // that an attempt may take; 0: as `timeout` says
};

detail::Decorator make_decorator(const process& decorator);

}  // namespace metaflow
