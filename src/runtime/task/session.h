// One attempt of a task, whatever language its step is written in: from the inputs in the store to its own data.json.
// Artifacts are payloads with names here. Who executes the step (cpp_task.h) goes through it so:
//
//   session.open();                         what the inputs left
//   session.read(...), session.payload(i)   the artifacts that the step begins with
//   if (session.begin()) ...                the step runs, session.end(); or it threw: session.catch_failure(...)
//   session.save(i, ...) or keep(i)         the artifacts that it leaves
//   session.finish();
//
// If anything of this throws: session.fail(...), then the artifacts that can be saved, and finish().
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
#include "store/flow_store.h"

namespace metaflow::runtime {

/// The store that a task's arguments name. Throws Error{invalid_command}.
std::shared_ptr<store::FlowStore> open_task_store(const std::string& flow, const compute::StepArguments& arguments);

/// The bytes of an artifact that is to be stored.
struct Payload {
  store::Pieces parts;
  std::string_view type;                      // Python's words for the type of the value
  int spool_file = -1;                        // a file that holds the bytes already
  std::span<const detail::ItemSpan> items{};  // of the range of a foreach: where its items stand, if that is known
};

/// Throws Error{data_store, data_missing}. Not thread-safe.
class TaskSession {
 public:
  /// `artifacts`: the names that the step's code knows; below, they are counted in this order. `flow` and `table`
  /// outlive this. Throws Error{invalid_command} if the flow has no such step.
  TaskSession(const detail::FlowDescription& flow, const graph::DecoratorTable& table,
              std::shared_ptr<store::FlowStore> store, compute::StepArguments arguments,
              std::vector<std::string> artifacts);
  TaskSession(const TaskSession&) = delete;
  TaskSession& operator=(const TaskSession&) = delete;
  ~TaskSession();

  const detail::StepDescription& step() const { return step_; }
  const std::shared_ptr<store::FlowStore>& store() const { return store_; }

  // --- before the step

  /// Reads what the inputs left: not the artifacts, only what there is. From here on current() tells of this task.
  /// Throws Error{usage} for arguments that do not fit the step.
  void open();
  /// What the step gets of an artifact. Null: nothing (it is new; or the inputs of the join do not agree on it).
  const store::ArtifactRecord* record(std::size_t artifact) const { return artifacts_[artifact].record; }
  /// Reads the payloads of artifacts that have a record, together.
  void read(std::span<const std::size_t> artifacts);
  const base::SharedBytes& payload(std::size_t artifact) const { return artifacts_[artifact].payload; }
  /// Null if the step is no join.
  JoinInputs* inputs() { return inputs_.get(); }

  /// Reads the item of the foreach and starts the clock of the step's time limit. False: the step is not to be called
  /// (the attempts before this one have failed, of which `catch` is told).
  ///
  /// `save`: saves the artifacts that can be saved. When the step's time is up it is called, in another process, for
  /// what the step had set until then: the task has failed as if the step had thrown.
  bool begin(std::function<void()> save = nullptr);
  /// Of the innermost foreach; none outside of any.
  const Value& item() const { return item_.root(); }
  /// Whether what the step throws is for catch_failure().
  bool catches() const;

  // --- after it

  /// Stops the clock.
  void end();
  /// The step failed, and `catch` makes that an artifact: the task is as good as done.
  void catch_failure(const CaughtException& caught);
  /// The task failed: says so on the standard error stream. What was saved so far counts no more.
  void fail(const Failure& failure);

  /// Leaves an artifact as the step got it.
  void keep(std::size_t artifact) { data_.artifacts.push_back(*record(artifact)); }
  /// Leaves as an artifact what is in the store already, maybe under another name.
  void refer(std::size_t artifact, store::ArtifactRecord stored);
  /// Stores an artifact, unless it has the bytes that were read. Gives back whether it is another one now.
  bool save(std::size_t artifact, const Payload& payload);

  /// Writes what Metaflow wants beside the artifacts, and last data.json. `chosen`: of a step that chooses, which of
  /// its targets. After fail() it does what it can and throws nothing. Throws Error{invalid_flow} for a range that
  /// cannot be fanned out over.
  void finish(int chosen = -1);

  /// What to throw if no case of a step that chooses is the value (as text) of its variable.
  Error no_case(const std::string& value) const;

 private:
  struct Artifact {
    const store::ArtifactRecord* record = nullptr;  // of the input
    base::SharedBytes payload;                      // once it was read, to see whether it was changed
  };
  enum class Outcome : std::uint8_t { succeeded, caught, failed };

  const detail::StepDescription& find_step() const;
  void open_single();
  void open_join();
  void continue_timed_out();
  void load_frames();
  bool chooses_itself() const;
  template <class T>
  T read_internal(const char* name) const;
  void fill_current();
  std::vector<graph::Decorator> decorators() const { return table_.of_step(step_, arguments_.with); }

  std::string last_failure() const;
  void set_failed(CaughtException exception, const std::string& summary);
  void save_at_timeout(const std::string& message, const std::function<void()>& save);
  void save_caught();
  void write(TaskFacts facts);
  std::string who() const;

  const detail::FlowDescription& flow_;
  const graph::DecoratorTable& table_;
  compute::StepArguments arguments_;
  std::shared_ptr<store::FlowStore> store_;
  const detail::StepDescription& step_;
  std::vector<std::string> names_;
  std::vector<Artifact> artifacts_;
  store::TaskData input_;      // of a join the first one
  store::TaskData timed_out_;  // of the attempt whose time was up, if this one notes that
  std::unique_ptr<JoinInputs> inputs_;
  std::vector<store::ArtifactRecord> carried_;  // into a join
  const store::ArtifactRecord* frames_record_ = nullptr;
  std::optional<std::size_t> iteration_;  // of a step that chooses itself
  Document item_;
  std::vector<detail::ItemSpan> items_;  // of the range that the step fans out over
  AttemptPolicy policy_;
  CurrentTask current_;
  Outcome outcome_ = Outcome::succeeded;
  std::optional<CaughtException> exception_;  // that ended the step
  store::TaskData data_;
};

}  // namespace metaflow::runtime
