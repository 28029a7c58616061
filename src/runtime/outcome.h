// What an attempt comes to whose process has ended: the one rule of when its results may be seen, for the scheduler and
// for the supervisor of a remote task.
//
// The words for the end of an attempt, from what was seen to what is kept:
//   base::ProcessEnd    what the kernel says of a process, here or in a container
//   store::ExitReport   the supervisor's words in a container, as they are stored; the scheduler reads a verdict in
//   them compute::JobEnd     a platform's words of its job, which may have ended without a supervisor's word
//   compute::Verdict    how the attempt ended, whatever it was made of: what every backend tells
//   runtime::Outcome    the verdict together with what the attempt left: what may be seen of it
//   store::AttemptEnd   what the journal keeps for those who watch a run; a failure is one, whether it threw or died
#pragma once

#include <cstdint>

#include "compute/backend.h"
#include "store/task_data.h"

namespace metaflow::runtime {

enum class Outcome : std::uint8_t {
  done,   // to be committed
  threw,  // its step threw, or its time was up: to be committed as not ok, for what it had set until then
  died,   // nothing of it may be seen
};

/// `data`: what it left, if it did. A process that crashed after its last write, in a static destructor, has died.
inline Outcome outcome_of(const compute::Verdict& verdict, const store::TaskData* data) {
  if (data == nullptr) return Outcome::died;
  if (!data->ok && verdict.timed_out) return Outcome::threw;
  if (!verdict.exited) return Outcome::died;
  if (data->ok) return verdict.exited_with_zero ? Outcome::done : Outcome::died;
  return Outcome::threw;
}

}  // namespace metaflow::runtime
