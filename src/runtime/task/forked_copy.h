// Steps may fork. A copy of the task's process that leaves the step would store its values as those of the task, maybe
// after the task was committed.
#pragma once

#include <unistd.h>

#include <cstdio>

namespace metaflow::runtime {

/// Around the call of a step: ends a copy of this process that returns or throws from the step.
class ForkedCopyEnds {
 public:
  ForkedCopyEnds() = default;
  ForkedCopyEnds(const ForkedCopyEnds&) = delete;
  ForkedCopyEnds& operator=(const ForkedCopyEnds&) = delete;
  ~ForkedCopyEnds() {
    if (::getpid() == process_) return;
    std::fputs(
        "A process that was forked by the step has left the step. Its values are not stored. End it with _exit().\n",
        stderr);
    std::fflush(nullptr);
    ::_exit(1);
  }

 private:
  pid_t process_ = ::getpid();
};

}  // namespace metaflow::runtime
