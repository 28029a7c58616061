// Reading runs: what ran, what came out, what was printed. Works on runs of C++ and of Python flows alike.
//
//   mf::client::Client client;                                    // the store and the namespace of this user
//   auto run = client.flow("BigSum").latest_successful_run();
//   double sum = run->artifact("sum").as<double>();
//   for (const auto& task : run->step("start").tasks()) std::cout << task.out();
//
// Objects are small handles on a store: cheap to copy, nothing is kept in memory, every question reads the store as it
// is then. What does not exist is an Error{not_found}; a store that cannot be read an Error{data_store}. Not
// thread-safe; give every thread a Client of its own.
#pragma once

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

namespace metaflow::client {

class Connection;  // the store, shared by the objects

using Time = std::chrono::system_clock::time_point;

struct ClientOptions {
  std::string root{};  // the .metaflow directory; empty: found as the command line finds it, or the metadata service if
                       // METAFLOW_DEFAULT_METADATA says so
  std::optional<std::string>
      name_space{};  // runs without this tag are not seen; empty text: all are; default: "user:" and the user
};

class Flow;
class Run;
class Step;
class Task;

/// A value that a task saved.
class Artifact {
 public:
  const std::string& name() const { return name_; }
  /// What addresses the bytes: equal keys, equal values.
  const std::string& key() const { return key_; }
  Time created_at() const { return created_at_; }

  /// The value as it is, and as a C++ type; see Value::as.
  Document value() const;
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
  std::string place_;  // of the blob, "s3://bucket/prefix"; empty: the local store
  Time created_at_;
};

/// Something that the system noted about a task.
struct Metadatum {
  std::string name;
  std::string value;
  std::string type;
  int attempt;  // -1: unknown
  Time created_at;
};

/// What ended a task that failed.
struct Exception {
  std::string type;
  std::string message;
  std::string stack;
};

/// One line of output.
struct LogLine {
  Time time;
  std::string text;
};

class Task {
 public:
  const std::string& id() const { return id_; }
  const std::string& step() const { return step_; }
  std::string pathspec() const { return flow_ + "/" + run_ + "/" + step_ + "/" + id_; }
  Time created_at() const { return created_at_; }
  /// When the last attempt ended, also if by an exception; not if its process was killed.
  std::optional<Time> finished_at() const;
  /// Its step has run to its end.
  bool finished() const;
  bool successful() const;
  /// The attempt that artifacts and logs are those of: the last one, or the one that attempt(n) chose.
  int current_attempt() const;
  /// The same task with the eyes on one attempt.
  Task attempt(int attempt) const;

  /// In the order of names, without those whose name begins with '_' unless `all`.
  std::vector<Artifact> artifacts(bool all = false) const;
  bool has(const std::string& artifact) const;
  Artifact artifact(const std::string& name) const;

  std::optional<Exception> exception() const;
  /// Standard output and error.
  std::string out() const;
  std::string err() const;
  std::vector<LogLine> out_lines() const;
  std::vector<LogLine> err_lines() const;

  std::vector<Metadatum> metadata() const;
  /// The position in the innermost foreach around the task.
  std::optional<std::size_t> index() const;
  std::vector<Task> parents() const;
  std::vector<Task> children() const;

 private:
  friend class Step;
  friend class Run;
  std::string log(bool error) const;
  std::vector<LogLine> lines(bool error) const;
  std::vector<Task> neighbours(bool before) const;
  std::string execution_path() const;

  std::shared_ptr<Connection> connection_;
  std::string flow_;
  std::string run_;
  std::string step_;
  std::string id_;
  Time created_at_;
  int attempt_ = -1;
};

class Step {
 public:
  const std::string& id() const { return id_; }
  std::string pathspec() const { return flow_ + "/" + run_ + "/" + id_; }
  Time created_at() const { return created_at_; }
  /// In the order in which they were begun.
  std::vector<Task> tasks() const;
  Task task(const std::string& id) const;
  /// The only one, or the one that was begun last.
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

class Run {
 public:
  const std::string& id() const { return id_; }
  std::string pathspec() const { return flow_ + "/" + id_; }
  const std::string& user() const { return user_; }
  Time created_at() const { return created_at_; }
  std::optional<Time> finished_at() const;
  bool finished() const;
  bool successful() const;

  /// All tags, those of users, those of the system. Sorted.
  std::vector<std::string> tags() const;
  const std::vector<std::string>& user_tags() const { return user_tags_; }
  const std::vector<std::string>& system_tags() const { return system_tags_; }

  /// In the order in which they were begun.
  std::vector<Step> steps() const;
  Step step(const std::string& name) const;
  /// The task of the last step, if the run has come so far.
  std::optional<Task> end_task() const;
  /// An artifact of the last step. Throws Error{not_found} if the run has not come so far.
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

class Flow {
 public:
  const std::string& id() const { return id_; }
  /// The newest first. `tags`: only runs that have all of these.
  std::vector<Run> runs(const std::vector<std::string>& tags = {}) const;
  Run run(const std::string& id) const;
  std::optional<Run> latest_run() const;
  std::optional<Run> latest_successful_run() const;

 private:
  friend class Client;
  std::shared_ptr<Connection> connection_;
  std::string id_;
};

/// The way in.
class Client {
 public:
  explicit Client(const ClientOptions& options = {});

  /// Flows that have a run in the namespace, by name.
  std::vector<Flow> flows() const;
  Flow flow(const std::string& name) const;
  /// "BigSum/17", "BigSum/17/start", "BigSum/17/start/1"
  Run run(const std::string& pathspec) const;
  Step step(const std::string& pathspec) const;
  Task task(const std::string& pathspec) const;
  /// The same store seen through another namespace; empty: everything.
  Client in_namespace(const std::string& name_space) const;

 private:
  std::shared_ptr<Connection> connection_;
};

}  // namespace metaflow::client
