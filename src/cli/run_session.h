// What `run` and `resume` share: everything around a run that this process executes. First an ExecutionPlan, which
// writes nothing; then a RunSession, which is the run.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/event_loop.h"
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

/// What is to be executed, and where. Not thread-safe.
class ExecutionPlan {
 public:
  /// Checks the options, the flow, and with its platforms each step. Throws Error. The references outlive it.
  ExecutionPlan(Context& context, const ExecutionOptions& options);
  ExecutionPlan(const ExecutionPlan&) = delete;
  ExecutionPlan& operator=(const ExecutionPlan&) = delete;

  Context& context() const { return context_; }
  const ExecutionOptions& options() const { return options_; }
  const graph::Graph& graph() const { return graph_; }
  compute::RunPlan& places() { return places_; }

 private:
  Context& context_;
  const ExecutionOptions& options_;
  graph::Graph graph_;
  compute::RunSite site_;
  compute::RunPlan places_;
};

/// What a run prints, and the signals that stop it. The end waits for a slow reader: it gets everything, unless the
/// user asks to stop. Not thread-safe.
class RunOutput {
 public:
  RunOutput(base::EventLoop& loop, base::Clock& clock, const ExecutionOptions& options);
  ~RunOutput();
  RunOutput(const RunOutput&) = delete;
  RunOutput& operator=(const RunOutput&) = delete;

  runtime::Reporter& reporter() { return *reporter_; }
  void say(std::string_view text);
  /// From now on SIGINT, SIGTERM and SIGHUP do not end this process: the loop tells of them.
  void on_stop(std::function<void(int signal)> told);
  /// From now on this process stops (SIGTSTP, of Ctrl-Z) after `stopping`, and then goes on with `going_on`.
  void on_suspend(std::function<void()> stopping, std::function<void()> going_on);

 private:
  base::EventLoop& loop_;
  base::Clock& clock_;
  std::unique_ptr<runtime::Reporter> reporter_;
  std::optional<base::SignalReader> signals_;
  std::optional<base::SignalReader> suspensions_;
  bool stop_was_asked_for_ = false;  // by one of them
};

/// How a run begins, for its journal and its metadata.
struct RunOrigin {
  std::string command{};            // "run", "resume"
  std::string run{};                // the run that it continues; empty: none
  std::vector<std::string> tags{};  // of that one
};

/// Continues in a process of its own (base::continue_under_guard), for what executes a run, with the places made that
/// it writes to. While this process has one thread.
void continue_guarded(Context& context);

/// Where the leases of this process are.
runtime::LeaseSite lease_site(Context& context);

/// Opens the store of the context for another thread.
runtime::LeaseKeeper::Open open_storage_again(Context& context);

/// For when a lease was lost: who has it, and what to do.
Error lost_lease(const Context& context, const runtime::LeaseLoss& loss);

/// A run that this process executes: it has a number, and the lease is held. Not thread-safe.
class RunSession {
 public:
  /// After continue_guarded(): makes the run. `keeper`: renews its lease, and what else this process holds; all must be
  /// held while it executes the run. The plan and the keeper outlive it.
  RunSession(ExecutionPlan& plan, const RunOrigin& origin, runtime::LeaseKeeper& keeper);

  const std::string& run() const { return run_; }
  void say(std::string_view text) { output_.say(text); }

  /// Stores the task `_parameters`.
  store::TaskRef store_parameters(store::TaskData data);

  /// What is to be cloned before anything is executed.
  struct Cloning {
    runtime::Origin& origin;
    /// False: the provider of the metadata does not know the origin, which another one has kept.
    bool origin_is_known = true;
    /// Called when all was cloned.
    std::function<void()> done;
  };
  /// Executes the flow; `cloning` (or null): what is left of it. Throws Error{step_failure, interrupted}.
  void execute(const store::TaskRef& parameters, const Cloning* cloning);

 private:
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
};

}  // namespace metaflow::cli
