// The environment of tests of runs: a run whose other parts do what the test says. Nothing takes real time: the clock
// jumps from one timer to the next.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <metaflow/error.h>

#include "base/testing.h"
#include "base/timers.h"
#include "compute/backend.h"
#include "graph/testing.h"
#include "runtime/run.h"
#include "store/memory/memory_storage.h"
#include "store/testing.h"

namespace metaflow::runtime {

inline constexpr std::int64_t kTestSecond = 1'000'000;

// start, work, end
const graph::TestGraph& linear_graph();
// start, a and b, join, end
const graph::TestGraph& branches_graph();
// start, work for each item, join, end
const graph::TestGraph& fan_out_graph();
// start, outer for each item, inner for each of its items, join_inner, join_outer, end
const graph::TestGraph& nested_graph();

/// The scripted course of an attempt.
struct AttemptPlan {
  compute::Verdict verdict{};
  std::optional<store::TaskData> left;  // written to the store, in addition to what the graph implies
  std::int64_t takes = kTestSecond;     // microseconds
  std::string output{};                 // printed before it ends
  bool starts = true;                   // false: it ends without having started
  std::int64_t stops_after = 0;         // microseconds after the request to stop
  bool ignores_asking = false;          // it ends only if forced,
  bool ignores_force = false;           // and not even then: its platform does not answer
};

AttemptPlan succeeds();
AttemptPlan throws(const std::string& what);
AttemptPlan dies(const std::string& cause);
/// An attempt whose node is lost. `uncounted`: how many such ends of a task do not count as a retry.
AttemptPlan is_lost(int uncounted);

/// Task ids from 1; records the other calls in lines like "17/start/1 attempt 0 begins".
class RecordingMetadata : public store::MetadataWriter {
 public:
  std::string new_run(const std::vector<std::string>&, const std::vector<std::string>&) override { return "17"; }
  void register_run(const std::string&, const std::vector<std::string>&, const std::vector<std::string>&) override {}
  void register_task(const store::TaskRef&) override {}
  void new_step(const std::string& run, const std::string& step) override;
  bool ready(const std::string&, const std::string& step, std::size_t) override { return !is_ready || is_ready(step); }
  std::string new_task(const std::string&, const std::string&) override { return std::to_string(++tasks_); }
  void attempt_begins(const store::TaskRef& task, int attempt) override;
  void attempt_ends(const store::TaskRef& task, int attempt, bool ok) override;
  void add_fields(const store::TaskRef& task, int attempt, const std::vector<store::Field>& fields) override;
  void add_artifacts(const store::TaskRef& task, const store::TaskData& data, std::int64_t finished) override;
  void clone_artifacts(const store::TaskRef& task, const store::TaskRef& origin, const store::TaskData& data,
                       std::int64_t finished) override;
  bool idle() override { return !is_idle || is_idle(); }

  std::function<bool(const std::string& step)> is_ready;
  std::function<bool()> is_idle;
  std::vector<std::string> lines;

 private:
  int tasks_ = 0;
};

/// Records lines like "[17/start/1] Task is starting."
class RecordingReporter : public Reporter {
 public:
  void print(const ReportLine& line) override;
  bool takes_events() const override { return true; }
  void emit(const Event& event) override;
  std::size_t columns() override { return 99; }
  void show_status(std::vector<std::string> lines) override { status = std::move(lines); }
  void flush() override {}
  bool congested() override { return is_congested; }
  bool finish(std::int64_t, int) override { return true; }
  /// The number of lines with this end.
  std::size_t count(std::string_view end) const;

  bool is_congested = false;
  std::vector<std::string> lines;
  std::vector<std::string> events;  // "task_started work 3 ...": JSON without times
  std::vector<std::string> status;  // the latest
};

class RunWorld;

/// Executes attempts as planned, and checks their order and their inputs.
class ScriptedBackend : public compute::Backend {
 public:
  explicit ScriptedBackend(RunWorld& world);

  bool has_room(const std::string& step) const override { return !room || room(step); }
  void submit(const compute::Attempt& attempt) override;
  void stop(std::span<const compute::AttemptId> attempts, compute::Stop how) override;
  void leave() override { asked.push_back("leave"); }
  void hold_output(bool held) override { asked.push_back(held ? "hold" : "release"); }
  void end(compute::Stop how) override;

  std::size_t running() const { return running_.size(); }
  const compute::Attempt& attempt(const std::string& line) const { return submitted.at(line); }

  std::function<AttemptPlan(const compute::Attempt&)> plan;  // default: succeeds()
  std::function<bool(const std::string& step)> room;
  std::vector<std::string> asked;  // "submit work/3/0", "ask 1", "force 1", "hold"; the last is "end"
  std::map<std::string, compute::Attempt> submitted;  // by "work/3/0": task and attempt
  std::set<std::string> ended;                        // keys as in `submitted`
  std::set<std::string> succeeded;                    // those that are to be committed

 private:
  struct Running {
    compute::Attempt attempt;
    AttemptPlan plan;
  };
  void finish(compute::AttemptId id, const AttemptPlan& plan);
  store::TaskData data_of(const compute::Attempt& attempt, store::TaskData data) const;

  RunWorld& world_;
  std::optional<base::Timers> timers_;
  std::map<compute::AttemptId, Running> running_;
};

/// How a run ended.
struct RunResult {
  std::optional<ErrorCode> error;  // nothing: the run is done
  std::string what;
};

/// One run at a time over one store. Each run is audited: it ends, each attempt that succeeded is committed once or
/// reported as not committed, no running attempt is committed, no attempt starts before its inputs are committed or
/// after the run has failed, and nothing is left at the end. The members are public, so that tests can inspect and
/// replace what a run needs.
class RunWorld {
 public:
  explicit RunWorld(const graph::Graph& graph);
  ~RunWorld();

  /// Executes run `id`. `origin`: resumes this run.
  RunResult execute(const std::string& id = "17", const std::string& origin = "");
  /// Executes a run that must be done at its end.
  void expect_done(const std::string& id = "17", const std::string& origin = "");

  /// The ids of the committed tasks of a step.
  std::vector<std::string> committed(const std::string& step, const std::string& run = "17") const;
  store::RunHistory history(const std::string& run = "17") const;
  /// The stored log of an attempt: "work/3/0".
  std::string log(const std::string& attempt, const std::string& run = "17") const;
  /// Microseconds since the world was made.
  std::int64_t elapsed() const { return clock.now - began_; }
  int turns() const { return turns_; }

  const graph::Graph& graph;
  base::FakeClock clock;
  base::EventLoop loop;
  store::MemoryStorage disk;
  store::FlowStore direct;  // the disk as tasks and tests see it
  store::ScriptedStorage storage;
  store::FlowStore store;  // the run's
  RecordingMetadata metadata;
  RecordingReporter reporter;
  ScriptedBackend backend;
  std::optional<store::ScriptedBackground> background;  // while a run is executed
  std::function<void(store::ScriptedBackground&)> on_background;
  std::optional<Run> run;
  RunOptions options;
  bool holds = true;                           // the lease
  std::vector<std::string> remote;             // steps that are not executed on this machine
  std::map<std::string, std::uint64_t> items;  // per step: the number of foreach items; default: 3
  std::function<void(int turn)> on_turn;       // of the loop, from 1
  std::function<void()> on_cloned;
  /// RunServices::sync_disk. Default: a disk that takes no time.
  std::function<void(std::function<void()>)> sync_disk = [](const std::function<void()>& done) { done(); };

 private:
  void execute_run(const std::string& id, const std::string& origin);
  void turn();
  void audit(const RunResult& result, const std::string& run) const;

  const std::int64_t began_;
  std::string directory_;
  base::Fd wakes_;  // always readable
  int turns_ = 0;
};

}  // namespace metaflow::runtime
