// Where tasks stand between splits and joins.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "store/task_data.h"

namespace metaflow::runtime {

struct Split;

/// The place of a task: in which branch of which split it is; outside of any if `split` is null.
struct Position {
  std::shared_ptr<Split> split;
  std::size_t branch = 0;  // of a foreach: the item
};

/// A split that a task made and that has not been joined yet.
struct Split {
  int step = -1;        // the step that split
  store::TaskRef task;  // its task
  Position outer;       // where that task stands
  std::size_t branches = 0;

  struct Arrival {
    std::size_t branch;
    int step;
    std::string task;
  };
  std::vector<Arrival> arrived;  // at the join
};

}  // namespace metaflow::runtime
