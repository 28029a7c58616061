// How the container of an attempt ended, on any platform.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace metaflow::compute {

/// Who or what ended it.
enum class EndedBy : std::uint8_t {
  task,       // the container's process, with success or not
  memory,     // the kernel, for lack of memory
  deadline,   // its timeout
  bootstrap,  // the flow's package was not fetched, or does not start in the container
  cluster,    // evicted, preempted, reclaimed, node lost: not the task's fault
};

struct JobEnd {
  bool succeeded = false;
  EndedBy by = EndedBy::task;
  int exit_code = -1;       // of the container; -1: not known
  std::string cause{};      // of a failure, one sentence for the user; empty: no reason given
  bool ran = false;         // it is known to have run, even if that was not reported
  bool lost = false;        // its node was lost or reclaimed: it may succeed elsewhere
  bool deliberate = false;  // it was terminated deliberately: no other job replaces it
};

/// Describes an exit code that is not 0. `last_output`: of the container, if known. `access`: a sentence about how
/// containers of this platform get access to the datastore.
JobEnd end_by_exit_status(int status, std::string_view last_output, std::string_view access);

}  // namespace metaflow::compute
