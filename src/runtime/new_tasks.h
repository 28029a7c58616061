// The tasks that a run makes, as its metadata knows them.
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

  /// Whether there is an id for a task of the step. If not, the loop wakes up when there is. `soon`: how many would be
  /// made now.
  bool has_id(int step, std::size_t soon) {
    return services_.metadata.ready(run_, services_.graph.step(step).name, soon);
  }

  /// A task of a step that has an id; the first makes the step.
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
