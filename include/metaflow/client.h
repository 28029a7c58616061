// Reading runs: their steps, tasks, artifacts and logs. Works on runs of C++ and of Python flows alike.
//
//   mf::client::Client client;                                    // the store and the namespace of this user
//   auto run = client.flow("BigSum").latest_successful_run();
//   double sum = run->artifact("sum").as<double>();
//   for (const auto& task : run->step("start").tasks()) std::cout << task.out();
//
// Objects are small handles on a store and cheap to copy. They cache nothing: every call reads the current state of the
// store. An object that does not exist is an Error{not_found}; a store that cannot be read is an Error{data_store}. Not
// thread-safe; give every thread its own Client.
#pragma once

#if __cplusplus < 202002L
#include <metaflow/detail/language.h>
#endif

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <metaflow/codec.h>
#include <metaflow/error.h>
#include <metaflow/value.h>

namespace metaflow::store {
struct ArtifactInfo;
}

namespace metaflow::client {

class Connection;  // the store, shared by all objects

/// A point in time, UTC.
using Time = std::chrono::system_clock::time_point;

/// Selects the store and the runs that a Client shows.
struct ClientOptions {
  /// The .metaflow directory. Empty: found as the command line finds it, or the metadata service if
  /// METAFLOW_DEFAULT_METADATA selects it.
  std::string root{};
  /// Only runs with this tag are visible. Empty: all runs. Default: "user:" and the user.
  std::optional<std::string> name_space{};
};

class Flow;
class Run;
class Step;
class Task;

/// A value that a task saved.
class Artifact {
 public:
  /// The name of the data member.
  const std::string& name() const { return name_; }
  /// The content address of the bytes: equal keys mean equal values.
  const std::string& key() const { return key_; }
  /// When the task saved it.
  Time created_at() const { return created_at_; }

  /// The value as stored, and as a C++ type; see Value::as.
  Document value() const;
  /// The value as a `T`. Throws Error{invalid_value} if it does not fit.
  template <class T>
  T as() const {
    const Document document = value();
    T into{};
    if constexpr (detail::readable<T>()) detail::decode(document.root(), detail::Place{nullptr, name_, 0}, into);
    return into;
  }
  /// As Python would print it, cut after `limit` bytes.
  std::string text(std::size_t limit = SIZE_MAX) const { return text_of(value().root(), limit); }
  /// "<class 'float'>"
  std::string python_type() const { return metaflow::python_type(value().root()); }
  /// Bytes in the store, before compression.
  std::uint64_t size() const;

 private:
  friend class Task;
  std::shared_ptr<Connection> connection_;
  std::string flow_;
  std::string name_;
  std::string key_;
  std::string place_;  // where the blob is: "s3://bucket/prefix"; empty: the local store
  Time created_at_;
};

/// A metadata field that Metaflow recorded about a task.
struct Metadatum {
  std::string name;   ///< "attempt", "ds-type", ...
  std::string value;  ///< the value, as text
  std::string type;   ///< the kind of the field: mostly its name
  int attempt;        ///< -1: unknown
  Time created_at;    ///< when it was recorded
};

/// The exception that ended a failed task.
struct Exception {
  std::string type;     ///< "std::runtime_error"
  std::string message;  ///< what()
  std::string stack;    ///< the stack at the throw, in lines; empty if it is unknown
};

/// One line of output.
struct LogLine {
  Time time;         ///< when the line was read
  std::string text;  ///< without the newline
};

/// A task of a run: one execution of a step.
class Task {
 public:
  /// The id of the task, unique in its run.
  const std::string& id() const { return id_; }
  /// The name of its step.
  const std::string& step() const { return step_; }
  /// "BigSum/17/start/1"
  std::string pathspec() const { return flow_ + "/" + run_ + "/" + step_ + "/" + id_; }
  /// When it was created.
  Time created_at() const { return created_at_; }
  /// End of the last attempt, including one that threw; nothing if its process was killed.
  std::optional<Time> finished_at() const;
  /// True if the step ran to its end.
  bool finished() const;
  /// True if the step finished without an exception. False if `catch_` caught one.
  bool successful() const;
  /// The attempt whose artifacts and logs this object shows: the last one, or the one selected by attempt(n).
  int current_attempt() const;
  /// The same task, showing one attempt.
  Task attempt(int attempt) const;

  /// Sorted by name; artifacts whose name begins with '_' only if `all`.
  std::vector<Artifact> artifacts(bool all = false) const;
  /// Whether the task saved an artifact of this name.
  bool has(const std::string& artifact) const;
  /// The artifact of this name. Throws Error{not_found} if the task has not saved it.
  Artifact artifact(const std::string& name) const;

  /// The exception that ended the attempt; nothing if there was none.
  std::optional<Exception> exception() const;
  /// Standard output and error.
  std::string out() const;
  /// Standard error, with the messages about a failure.
  std::string err() const;
  /// Standard output in lines, with their times.
  std::vector<LogLine> out_lines() const;
  /// Standard error in lines, with their times.
  std::vector<LogLine> err_lines() const;

  /// Everything that was recorded about the task.
  std::vector<Metadatum> metadata() const;
  /// The position in the innermost foreach around the task.
  std::optional<std::size_t> index() const;
  /// The tasks whose artifacts it started with; for a join its inputs.
  std::vector<Task> parents() const;
  /// The tasks that followed it.
  std::vector<Task> children() const;

 private:
  friend class Step;
  friend class Run;
  std::string log(bool error) const;
  std::vector<LogLine> lines(bool error) const;
  std::vector<Task> neighbours(bool before) const;
  std::string execution_path() const;
  std::optional<Artifact> find(const std::string& artifact) const;
  Artifact artifact_of(store::ArtifactInfo&& info) const;

  std::shared_ptr<Connection> connection_;
  std::string flow_;
  std::string run_;
  std::string step_;
  std::string id_;
  Time created_at_;
  int attempt_ = -1;
};

/// A step of a run.
class Step {
 public:
  /// The name of the step.
  const std::string& id() const { return id_; }
  /// "BigSum/17/start"
  std::string pathspec() const { return flow_ + "/" + run_ + "/" + id_; }
  /// When its first task was created.
  Time created_at() const { return created_at_; }
  /// In the order of their start.
  std::vector<Task> tasks() const;
  /// The task with this id. Throws Error{not_found} if it does not exist.
  Task task(const std::string& id) const;
  /// The only task, or the one that started last.
  Task task() const;

 private:
  friend class Run;
  friend class Task;
  std::shared_ptr<Connection> connection_;
  std::string flow_;
  std::string run_;
  std::string id_;
  Time created_at_;
};

/// One execution of a flow.
class Run {
 public:
  /// The id of the run.
  const std::string& id() const { return id_; }
  /// "BigSum/17"
  std::string pathspec() const { return flow_ + "/" + id_; }
  /// The user who started it.
  const std::string& user() const { return user_; }
  /// When it was started.
  Time created_at() const { return created_at_; }
  /// When its last step ended; nothing if it has not.
  std::optional<Time> finished_at() const;
  /// True if the run has reached its end.
  bool finished() const;
  /// True if the run has reached its end, and its last task succeeded.
  bool successful() const;

  /// All tags, both user and system tags. Sorted.
  std::vector<std::string> tags() const;
  /// Tags that users have set. Sorted.
  const std::vector<std::string>& user_tags() const { return user_tags_; }
  /// Tags that the run has set: "user:ada", ... Sorted.
  const std::vector<std::string>& system_tags() const { return system_tags_; }

  /// In the order of their start.
  std::vector<Step> steps() const;
  /// The step of this name. Throws Error{not_found} if it has no task yet.
  Step step(const std::string& name) const;
  /// The task of the last step, if the run has reached it.
  std::optional<Task> end_task() const;
  /// An artifact of the last step. Throws Error{not_found} if the run has not reached it.
  Artifact artifact(const std::string& name) const;
  /// The parameters by name.
  std::map<std::string, Artifact> parameters() const;

 private:
  friend class Flow;
  friend class Client;
  friend class Task;
  std::shared_ptr<Connection> connection_;
  std::string flow_;
  std::string id_;
  std::string user_;
  Time created_at_;
  std::vector<std::string> user_tags_;
  std::vector<std::string> system_tags_;
};

/// A flow: all of its runs that are visible.
class Flow {
 public:
  /// The name of the flow.
  const std::string& id() const { return id_; }
  /// The newest first. `tags`: only runs that have all of these tags.
  std::vector<Run> runs(const std::vector<std::string>& tags = {}) const;
  /// The run with this id. Throws Error{not_found} if it does not exist or is not visible.
  Run run(const std::string& id) const;
  /// The run that was started last.
  std::optional<Run> latest_run() const;
  /// The run that was started last among those that succeeded.
  std::optional<Run> latest_successful_run() const;

 private:
  friend class Client;
  std::shared_ptr<Connection> connection_;
  std::string id_;
};

/// The entry point.
class Client {
 public:
  /// Opens the store. Throws Error{data_store} if it cannot be read.
  explicit Client(const ClientOptions& options = {});

  /// Flows that have a run in the namespace, by name.
  std::vector<Flow> flows() const;
  /// The flow of this name. Throws Error{not_found} if it has no visible run.
  Flow flow(const std::string& name) const;
  /// "BigSum/17", "BigSum/17/start", "BigSum/17/start/1"
  Run run(const std::string& pathspec) const;
  /// The step of a pathspec: "BigSum/17/start".
  Step step(const std::string& pathspec) const;
  /// The task of a pathspec: "BigSum/17/start/1".
  Task task(const std::string& pathspec) const;
  /// The same store seen through another namespace; empty: everything.
  Client in_namespace(const std::string& name_space) const;

 private:
  std::shared_ptr<Connection> connection_;
};

}  // namespace metaflow::client
