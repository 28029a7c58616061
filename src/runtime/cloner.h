// The part of `resume` that executes nothing: it clones the tasks that the origin has finished.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
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
  /// Called for a task that was cloned: adds what follows it to the frontier.
  using Follow = std::function<void(const Ready& work, const store::TaskRef& task, const store::TaskData& data,
                                    std::shared_ptr<const store::ItemLabels> labels)>;

  /// All arguments outlive this object.
  Cloner(const RunServices& services, const RunOptions& options, Frontier& frontier, NewTasks& tasks, RunReport& report,
         Origin& origin, Follow follow);

  /// Clones every task that can start and that the origin has finished, until there is none or `stopping` returns true.
  /// Then the frontier holds the tasks to execute. Waits for the store, several tasks at a time, and handles signals in
  /// between. Throws as Run::clone.
  void clone(const std::function<bool()>& stopping);

 private:
  /// A task of the origin that is cloned.
  struct Adopted {
    Ready work;
    const Origin::Finished* finished;
    store::TaskData data{};
    store::TaskRef ref{};  // its clone
  };

  std::vector<Adopted> take_finished();
  void find_items(const Position& position, store::TaskData& data) const;
  void adopt(std::vector<Adopted>& tasks);
  std::vector<std::shared_ptr<const store::ItemLabels>> read_labels(const std::vector<Adopted>& tasks) const;
  void report_clone(const Adopted& task, const store::TaskRef& from, std::int64_t now);

  const RunServices& services_;
  const RunOptions& options_;
  Frontier& frontier_;
  NewTasks& tasks_;
  RunReport& report_;
  Origin& origin_;
  Follow follow_;
};

}  // namespace metaflow::runtime
