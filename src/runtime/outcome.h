// What an attempt comes to whose process has ended: the one rule of when its results may be seen, for the scheduler and
// for the supervisor of a remote task.
#pragma once

#include <cstdint>

#include "store/task_data.h"

namespace metaflow::runtime {

enum class Outcome : std::uint8_t {
  done,   // to be committed
  threw,  // its step threw: to be committed as not ok, for what it had set until then
  died,   // nothing of it may be seen
};

/// `exited`: the process ended by itself; `exited_well`: with status 0. `data`: what it left, if it did. A process that
/// crashed after its last write, in a static destructor, has died.
inline Outcome outcome_of(bool exited, bool exited_well, const store::TaskData* data) {
  if (data == nullptr || !exited) return Outcome::died;
  if (data->ok) return exited_well ? Outcome::done : Outcome::died;
  return Outcome::threw;
}

}  // namespace metaflow::runtime
