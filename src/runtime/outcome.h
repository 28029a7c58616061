// The outcome of an attempt whose process has ended: the one rule that decides when its results may be seen, for the
// scheduler and for the supervisor of a remote task.
//
// The types for the end of an attempt, from what was observed to what is kept:
//   base::ProcessEnd    the end of a process as the kernel reports it, here or in a container
//   store::ExitReport   the supervisor's report from a container, as it is stored
//   compute::JobEnd     the end of a job as its platform reports it; a job may end without a supervisor's report
//   compute::Verdict    how the attempt ended, the same for every backend
//   runtime::Outcome    the verdict together with the attempt's result: what may be seen of it
//   store::AttemptEnd   the end in the journal, for commands that show a run; a failure whether it threw or died
#pragma once

#include <cstdint>

#include "compute/backend.h"
#include "store/task_data.h"

namespace metaflow::runtime {

enum class Outcome : std::uint8_t {
  done,   // the attempt is committed
  threw,  // its step threw or timed out: committed as not ok, with the values it had set
  died,   // nothing of it may be seen
};

/// `data`: the attempt's data.json; null: none. A process that crashed after its last write, in a static destructor,
/// counts as died.
inline Outcome outcome_of(const compute::Verdict& verdict, const store::TaskData* data) {
  if (data == nullptr) return Outcome::died;
  if (!data->ok && verdict.timed_out) return Outcome::threw;
  if (!verdict.exited) return Outcome::died;
  if (data->ok) return verdict.exited_with_zero ? Outcome::done : Outcome::died;
  return Outcome::threw;
}

}  // namespace metaflow::runtime
