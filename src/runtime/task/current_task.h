// The task that current() tells of.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <metaflow/current.h>

#include "store/flow_store.h"

namespace metaflow::runtime {

/// Set for the time in which a step runs.
struct CurrentTask {
  Current current;
  std::shared_ptr<const store::FlowStore> store;
  std::vector<store::ItemSource> items;  // one per frame of the foreach stack
  std::function<double()> wanted_cpus;   // what the step asked for; 0: nothing
};

/// Null outside of a step. One per process: a process executes one task.
CurrentTask*& current_task();

}  // namespace metaflow::runtime
