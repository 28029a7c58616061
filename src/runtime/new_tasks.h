// Creates the tasks of a run in the metadata.
#pragma once

#include <cstddef>
#include <string>

#include "runtime/run_report.h"
#include "runtime/run_services.h"

namespace metaflow::runtime {

/// Not thread-safe.
class NewTasks {
 public:
  NewTasks(const RunServices& services, RunReport& report, const std::string& run)
      : services_(services), report_(report), run_(run) {}

  /// Whether an id is available for a task of the step. If not, the loop wakes up when one is. `soon`: how many ids
  /// would be used now.
  bool has_id(int step, std::size_t soon) {
    return services_.metadata.ready(run_, services_.graph.step(step).name, soon);
  }

  /// Creates a task of a step that has an id. The first one also creates the step.
  store::TaskRef make(int step) {
    const std::string& name = services_.graph.step(step).name;
    if (bool& started = report_.progress(step).started; !started) {
      services_.metadata.new_step(run_, name);
      started = true;
    }
    return {run_, name, services_.metadata.new_task(run_, name)};
  }

  const std::string& run() const { return run_; }

 private:
  const RunServices& services_;
  RunReport& report_;
  const std::string run_;
};

}  // namespace metaflow::runtime
