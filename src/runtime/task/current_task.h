// The task that current() describes.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <metaflow/current.h>

#include "store/flow_store.h"

namespace metaflow::runtime {

/// Set while a step is running.
struct CurrentTask {
  Current current;
  std::shared_ptr<const store::FlowStore> store;
  std::vector<store::ItemSource> items;  // one per frame of the foreach stack
  std::function<double()> wanted_cpus;   // the CPUs that the step asked for; 0: not set
};

/// Null unless a step is running. One per process: a process executes one task.
CurrentTask*& current_task();

}  // namespace metaflow::runtime
