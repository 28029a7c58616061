// How the container of an attempt ended, in the words that platforms share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace metaflow::compute {

/// Who or what ended it.
enum class EndedBy : std::uint8_t {
  task,       // the container's process ended, well or not
  memory,     // the kernel, for lack of memory
  deadline,   // its time was up
  bootstrap,  // the flow's package did not come into the container, or does not start there
  cluster,    // evicted, preempted, reclaimed, the machine was lost: no fault of the task
};

struct JobEnd {
  bool succeeded = false;
  EndedBy by = EndedBy::task;
  int exit_code = -1;   // of the container; -1: not known
  std::string cause{};  // of a failure, one sentence for people; empty: the platform says nothing
  bool ran = false;     // it is known to have run, whether that was told or not
  bool lost = false;    // its machine was taken from it, or broke: elsewhere it may do
  bool meant = false;   // somebody ended it on purpose: no other job is made in its place
};

/// What an exit status says that is not 0. `said`: the last that the container wrote, if that is known. `access`: how
/// containers of this platform get access to the datastore, a sentence.
JobEnd end_by_exit_status(int status, std::string_view said, std::string_view access);

}  // namespace metaflow::compute
