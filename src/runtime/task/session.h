// One attempt of a task, in any language: from the inputs in the store to its own data.json. Artifacts are named
// payloads here. The code that executes the step (cpp_task.h) calls:
//
//   session.open();                         read the results of the inputs
//   session.read(...), session.payload(i)   the artifacts that the step begins with
//   if (session.begin()) ...                call the step, session.end(); or it threw: session.catch_failure(...)
//   session.save(i, ...) or keep(i)         the artifacts of the result
//   session.finish();
//
// If any of this throws: session.fail(...), then save() for the artifacts that can be saved, and finish().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <metaflow/current.h>
#include <metaflow/detail/description.h>
#include <metaflow/error.h>

#include "compute/step_arguments.h"
#include "graph/decorators.h"
#include "runtime/policy.h"
#include "runtime/task/bookkeeping.h"
#include "runtime/task/current_task.h"
#include "runtime/task/failure.h"
#include "runtime/task/join_inputs.h"
#include "runtime/task/task_frames.h"
#include "store/flow_store.h"

namespace metaflow::runtime {

/// Opens the store that a task's arguments name. Throws Error{invalid_command}.
std::shared_ptr<store::FlowStore> open_task_store(const std::string& flow, const compute::StepArguments& arguments);

/// The bytes of an artifact to store.
struct Payload {
  store::Pieces parts;
  std::string_view type;                      // Python's name for the type of the value
  int spool_file = -1;                        // a file that already holds the bytes
  std::span<const detail::ItemSpan> items{};  // of the range of a foreach: the positions of its items, if known
};

/// Throws Error{data_store, data_missing}. Not thread-safe.
class TaskSession {
 public:
  /// `artifacts`: the names of the artifacts that the step's code knows; the other functions refer to them by index.
  /// `flow` and `table` outlive this object. Throws Error{invalid_command} if the flow has no such step.
  TaskSession(const detail::FlowDescription& flow, const graph::DecoratorTable& table,
              std::shared_ptr<store::FlowStore> store, compute::StepArguments arguments,
              std::vector<std::string> artifacts);
  TaskSession(const TaskSession&) = delete;
  TaskSession& operator=(const TaskSession&) = delete;
  ~TaskSession();

  const detail::StepDescription& step() const { return step_; }
  const std::shared_ptr<store::FlowStore>& store() const { return store_; }

  // Called before open().

  /// The foreachs around the task: a language sets here how items are labelled, and read.
  TaskFrames& frames() { return frames_; }
  const TaskFrames& frames() const { return frames_; }

  /// Adds the names of all artifacts that the inputs have, except those that Metaflow itself writes.
  void take_all_artifacts() { takes_all_ = true; }
  /// The step watches its time limit itself.
  void leave_timeout_to_step() { step_keeps_time_ = true; }

  // --- before the step

  /// Reads the data.json of the inputs, but no artifacts. From here on current() describes this task. Throws
  /// Error{usage} for arguments that do not match the step.
  void open();
  /// The names of the artifacts.
  const std::vector<std::string>& artifacts() const { return names_; }
  /// The index of an artifact, which is added if the session does not know it.
  std::size_t artifact(std::string_view name);
  /// The artifact as the step gets it. Null: it has no value (it is new, or the inputs of the join disagree).
  const store::ArtifactRecord* record(std::size_t artifact) const { return artifacts_[artifact].record; }
  /// Reads the payloads of artifacts that have a record, together.
  void read(std::span<const std::size_t> artifacts);
  const base::SharedBytes& payload(std::size_t artifact) const { return artifacts_[artifact].payload; }
  /// An artifact of the input, also one that Metaflow itself writes; of a join: of its first input. Null: it has none.
  const store::ArtifactRecord* input_record(std::string_view name) const { return input_.find(name); }
  /// Null if the step is not a join.
  JoinInputs* inputs() { return inputs_.get(); }

  /// Reads the item of the foreach, and starts the clock of the step's time limit. Returns false if the step is not to
  /// be called: the attempts before this one have failed, and this is a fallback attempt of `catch`.
  ///
  /// `save`: saves the artifacts that can be saved. It is called at a timeout, in another process, to keep the values
  /// that the step had set; the task has then failed as if the step had thrown.
  bool begin(std::function<void()> save = nullptr);
  /// The time limit of the step in microseconds; 0: none.
  std::int64_t time_limit() const { return policy_.time_limit; }
  /// Whether an exception of the step is to be passed to catch_failure().
  bool catches() const;

  // --- after the step

  /// Stops the clock of the time limit.
  void end();
  /// The step failed, and `catch` stores the exception as an artifact: the task counts as succeeded.
  void catch_failure(const CaughtException& caught);
  /// The task failed: prints the failure to standard error. Discards the artifacts that were saved so far.
  void fail(const Failure& failure);

  /// Passes an artifact on unchanged.
  void keep(std::size_t artifact) { data_.artifacts.push_back(*record(artifact)); }
  /// Uses a value that is already in the store as an artifact, maybe under another name.
  void refer(std::size_t artifact, store::ArtifactRecord stored);
  /// Stores an artifact, unless it has the bytes that were read. Returns whether it has changed.
  bool save(std::size_t artifact, const Payload& payload);

  /// What the step fans out over, for a language whose values are not Values.
  void fan_out(FanOut items) { fan_out_ = std::move(items); }

  /// Writes the artifacts that Metaflow requires, and data.json last. `chosen`: of a step that chooses, the index of
  /// the target. After fail() it writes what it can and throws nothing. Throws Error{invalid_flow} for a range that a
  /// foreach cannot iterate over.
  void finish(int chosen = -1);

  /// The error for a value (as text) that matches no case of a step that chooses.
  Error no_case(const std::string& value) const;

 private:
  struct Artifact {
    const store::ArtifactRecord* record = nullptr;  // from the input
    base::SharedBytes payload;                      // once it was read, to detect changes
    store::ArtifactRecord carried;                  // into a join
  };

  const detail::StepDescription& find_step() const;
  void open_single();
  void open_join();
  void continue_timed_out();
  std::optional<std::size_t> iteration() const;
  void fill_current();
  std::vector<graph::Decorator> decorators() const { return table_.of_step(step_, arguments_.with); }

  std::string last_failure() const;
  void set_failed(CaughtException exception, const std::string& summary);
  void save_at_timeout(const std::string& message, const std::function<void()>& save);
  void save_caught();
  void write();
  std::string description() const;

  const detail::FlowDescription& flow_;
  const graph::DecoratorTable& table_;
  compute::StepArguments arguments_;
  std::shared_ptr<store::FlowStore> store_;
  const detail::StepDescription& step_;
  std::vector<std::string> names_;
  std::vector<Artifact> artifacts_;
  store::TaskData input_;      // of a join: its first input
  store::TaskData timed_out_;  // of the attempt that timed out, if this one records that
  std::unique_ptr<JoinInputs> inputs_;
  bool takes_all_ = false;
  bool step_keeps_time_ = false;
  std::optional<FanOut> fan_out_;
  std::vector<detail::ItemSpan> items_;  // the items of the range of the step's foreach
  AttemptPolicy policy_;
  CurrentTask current_;
  TaskFrames frames_;
  TaskFacts facts_;
  store::TaskData data_;
};

}  // namespace metaflow::runtime
