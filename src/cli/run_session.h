// The parts that `run` and `resume` share. An ExecutionPlan checks a run and writes nothing; a RunSession creates and
// executes it in this process.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/event_loop.h"
#include "cli/concurrency.h"
#include "cli/context.h"
#include "cli/execution_options.h"
#include "cli/run_metadata.h"
#include "compute/run_plan.h"
#include "runtime/lease.h"
#include "runtime/lease_keeper.h"
#include "runtime/origin.h"
#include "runtime/reporter.h"
#include "runtime/run.h"
#include "store/journal.h"

namespace metaflow::cli {

/// The graph to execute and the platforms of its steps. Not thread-safe.
class ExecutionPlan {
 public:
  /// Checks the options, the flow, and each step with its platform. Throws Error. The references outlive this object.
  ExecutionPlan(Context& context, const ExecutionOptions& options);
  ExecutionPlan(const ExecutionPlan&) = delete;
  ExecutionPlan& operator=(const ExecutionPlan&) = delete;

  Context& context() const { return context_; }
  const ExecutionOptions& options() const { return options_; }
  const graph::Graph& graph() const { return graph_; }
  compute::RunPlan& run_plan() { return run_plan_; }
  const std::vector<StepLimit>& limits() const { return limits_; }

 private:
  Context& context_;
  const ExecutionOptions& options_;
  graph::Graph graph_;
  compute::RunSite site_;
  compute::RunPlan run_plan_;
  std::vector<StepLimit> limits_;
};

/// The output of a run, and the signals that stop it. The destructor waits until a slow reader has everything, unless
/// the user stops the run. Not thread-safe.
class RunOutput {
 public:
  RunOutput(base::EventLoop& loop, base::Clock& clock, const ExecutionOptions& options);
  ~RunOutput();
  RunOutput(const RunOutput&) = delete;
  RunOutput& operator=(const RunOutput&) = delete;

  runtime::Reporter& reporter() { return *reporter_; }
  /// Prints a line about the run. `told`: an event tells the same.
  void print(std::string_view text, bool told = false);
  /// SIGINT, SIGTERM and SIGHUP no longer end this process. The loop calls `callback` instead.
  void on_stop(std::function<void(int signal)> callback);
  /// On SIGTSTP (Ctrl-Z) the loop calls `before`, stops this process, and calls `after` when it continues.
  void on_suspend(std::function<void()> before, std::function<void()> after);

 private:
  base::EventLoop& loop_;
  base::Clock& clock_;
  std::unique_ptr<runtime::Reporter> reporter_;
  std::optional<base::SignalReader> signals_;
  std::optional<base::SignalReader> suspensions_;
  std::optional<base::SignalReader> resizes_;  // of the terminal's window
  bool is_stopping_ = false;                   // a signal has asked the run to stop
};

/// How a run was started, for its journal and its metadata.
struct RunOrigin {
  std::string command{};            // "run", "resume"
  std::string run{};                // the run that it continues; empty: none
  std::vector<std::string> tags{};  // the tags of that run
};

/// Continues in a child process that executes the run (base::continue_under_guard), and creates the directories that
/// the run writes to. Must be called while this process has one thread.
void continue_guarded(Context& context);

/// The store and the clock for the leases of this process.
runtime::LeaseSite lease_site(Context& context);

/// Returns a function that opens the store of the context, for another thread.
runtime::LeaseKeeper::Open storage_opener(Context& context);

/// The error for a lost lease. It names the new holder and the next command.
Error lost_lease(const Context& context, const runtime::LeaseLoss& loss);

/// A run that this process executes. It has an id, and this process holds its lease. Not thread-safe.
class RunSession {
 public:
  /// Creates the run. Must be called after continue_guarded(). `keeper` renews the lease of the run together with all
  /// others of this process; the run is executed only while all of them are held. The plan and the keeper outlive this
  /// object.
  RunSession(ExecutionPlan& plan, const RunOrigin& origin, runtime::LeaseKeeper& keeper);

  const std::string& run() const { return run_; }
  /// Prints a line about the run; the second, one of which an event tells the same.
  void print(std::string_view text) { output_.print(text); }
  void print_text(std::string_view text) { output_.print(text, true); }

  /// Stores the task `_parameters`.
  store::TaskRef store_parameters(store::TaskData data);

  /// The tasks to clone before anything is executed.
  struct Cloning {
    runtime::Origin& origin;
    /// False if the metadata of the origin is with another provider.
    bool origin_is_known = true;
    /// Called when all tasks are cloned.
    std::function<void()> done;
  };
  /// Executes the flow. With `cloning`, clones first and executes the remaining tasks. Throws Error{step_failure,
  /// interrupted}.
  void execute(const store::TaskRef& parameters, const Cloning* cloning);

 private:
  void emit_start(const RunOrigin& origin);
  void emit_failure(const Error& error);
  void begin_journal(const RunOrigin& origin, const std::vector<std::string>& tags);
  runtime::RunOptions run_options(bool origin_is_known) const;
  compute::BackendSite backend_site(runtime::Run& run);
  std::vector<std::string> task_environment();
  void make_latest();

  ExecutionPlan& plan_;
  Context& context_;
  std::string origin_;  // the run that it continues; empty: none
  base::EventLoop loop_;
  RunOutput output_;
  RunMetadata metadata_;
  std::string run_;
  runtime::LeaseKeeper& keeper_;
  std::shared_ptr<runtime::Lease> lease_;
  store::Journal journal_;
  std::int64_t began_;  // microseconds since 1970
};

}  // namespace metaflow::cli
