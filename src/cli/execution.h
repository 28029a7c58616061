// What `run` and `resume` share: everything around a run that is executed here.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "cli/command_line.h"
#include "cli/context.h"
#include "compute/run_plan.h"
#include "runtime/lease.h"
#include "runtime/origin.h"
#include "runtime/reporter.h"
#include "runtime/run.h"
#include "store/service/service_client.h"

namespace metaflow::cli {

struct ExecutionOptions {
  std::size_t max_workers = 16;
  std::size_t max_num_splits = 100;
  std::size_t max_log_size = 10;
  std::vector<std::string> tags;
  std::vector<std::string> with;
  std::optional<std::string> name_space;
  std::string run_id_file;
  std::string runner_attribute_file;
  bool json = false;
  bool quiet = false;
};

/// `command`: as in METAFLOW_RUN_MAX_WORKERS.
void append_execution_options(std::vector<Option>& list, ExecutionOptions& options, const std::string& command);

std::vector<std::string> system_tags(Context& context);

/// What is written of a run besides its objects, where --metadata says, and the connection to the service if that is
/// it.
class RunMetadata {
 public:
  /// `tell`: of trouble with the service. The loop outlives it.
  RunMetadata(Context& context, base::EventLoop& loop, std::function<void(const std::string&)> tell);
  store::MetadataWriter& writer() { return *writer_; }
  /// Metaflow's name of the provider and place: "local@/x", "service@https://host".
  const std::string& name() const { return name_; }

 private:
  std::unique_ptr<store::ServiceClient> client_;
  std::unique_ptr<store::MetadataWriter> writer_;
  std::string name_;
};

/// Stores the pseudo task `_parameters`, and makes it visible. `data`: what it is to hold.
void write_parameters_task(Context& context, const graph::Graph& graph, store::MetadataWriter& metadata,
                           const store::TaskRef& task, store::TaskData data);

/// One execution of the flow by this process. The members are to be called in this order.
class Execution {
 public:
  /// Checks the options and the flow; nothing is written yet.
  Execution(Context& context, const ExecutionOptions& options);
  ~Execution();

  const graph::Graph& graph() const { return graph_; }
  const std::string& run() const { return run_; }
  runtime::Reporter& reporter() { return *reporter_; }

  /// Continues in a process of its own (base::continue_under_guard), then makes the run. `origin`: of resume.
  void begin(const std::string& command, const std::string& origin, const std::vector<std::string>& more_tags);
  /// The task `_parameters`, to be written.
  store::TaskRef new_parameters_task();
  void write_parameters(const store::TaskRef& task, store::TaskData data);
  /// From now on `resume` continues this run.
  void make_latest();
  /// What to do when all was cloned, before anything is executed.
  void on_cloned(std::function<void()> callback) { cloned_ = std::move(callback); }
  /// The provider of the metadata does not know the origin, which another one has kept.
  void origin_is_unknown() { origin_is_known_ = false; }
  /// Executes what is left to do, after what the origin has finished was cloned. The exit status.
  int execute(const store::TaskRef& parameters, runtime::Origin* origin);

  void say(const std::string& text);

 private:
  std::vector<std::string> task_environment();
  void finish_output();

  Context& context_;
  const ExecutionOptions& options_;
  graph::Graph graph_;
  compute::RunSite site_;
  std::optional<compute::RunPlan> plan_;
  std::string run_;
  std::string origin_;
  bool origin_is_known_ = true;
  std::function<void()> cloned_;
  std::optional<base::EventLoop> loop_;
  std::unique_ptr<runtime::Reporter> reporter_;
  std::optional<base::SignalReader> signals_;
  bool stop_was_asked_for_ = false;  // by one of them
  std::optional<RunMetadata> metadata_;
  std::optional<store::Journal> journal_;
  std::optional<runtime::Lease> lease_;
};

}  // namespace metaflow::cli
