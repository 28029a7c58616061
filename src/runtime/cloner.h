// The part of a resumed run that executes nothing: what its origin has finished is taken over.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "runtime/frontier.h"
#include "runtime/new_tasks.h"
#include "runtime/origin.h"
#include "runtime/run_report.h"
#include "runtime/run_services.h"

namespace metaflow::runtime {

/// Not thread-safe.
class Cloner {
 public:
  /// What follows from a task that was cloned.
  using Follow = std::function<void(const Ready& work, const store::TaskRef& task, const store::TaskData& data)>;

  /// All outlives this.
  Cloner(const RunServices& services, const RunOptions& options, Frontier& frontier, NewTasks& tasks, RunReport& report,
         Origin& origin, Follow follow);

  /// Goes on with what can be executed next, until none of it is finished in the origin or `stopping` says so; what is
  /// to be executed is in the frontier then. Waits for the store, several tasks at a time, and looks at signals in
  /// between. Throws as Run::clone.
  void clone(const std::function<bool()>& stopping);

 private:
  /// A task of the origin that is taken over.
  struct Adopted {
    Ready work;
    const Origin::Finished* finished;
    store::TaskData data{};
    store::TaskRef ref{};  // its clone
  };

  std::vector<Adopted> take_finished();
  void find_items(const Position& position, store::TaskData& data) const;
  void adopt(std::vector<Adopted>& tasks);
  void tell_of(const Adopted& task, const store::TaskRef& from, std::int64_t now);

  const RunServices& services_;
  const RunOptions& options_;
  Frontier& frontier_;
  NewTasks& tasks_;
  RunReport& report_;
  Origin& origin_;
  Follow follow_;
};

}  // namespace metaflow::runtime
