#include "runtime/launcher.h"

#include <memory>
#include <utility>

#include "base/format.h"

namespace metaflow::runtime {

namespace {

constexpr std::size_t kInputsOnCommandLine = 100;

bool has_many_inputs(const ScheduledTask& task) { return task.work.inputs.size() > kInputsOnCommandLine; }

}  // namespace

Launcher::Launcher(const RunServices& services, const RunOptions& options, Frontier& frontier, NewTasks& tasks,
                   RunReport& report, Start start)
    : services_(services),
      options_(options),
      frontier_(frontier),
      tasks_(tasks),
      report_(report),
      start_(std::move(start)),
      remote_(services.graph.steps().size()),
      log_stamps_(services.clock),
      timers_(services.loop) {
  for (const graph::Step& step : services.graph.steps()) policies_.push_back(policy_of(step.decorators));
}

void Launcher::mark_remote(const std::vector<std::string>& steps, std::string code_package) {
  for (const std::string& step : steps) remote_[static_cast<std::size_t>(services_.graph.find(step))] = true;
  code_package_ = std::move(code_package);
}

bool Launcher::empty() const { return frontier_.empty() && to_start_.empty() && delayed_.empty() && storing_.empty(); }

bool Launcher::start_next(const compute::Backend& backend, std::size_t workers) {
  auto has_room = [&](int step) { return backend.has_room(services_.graph.step(step).name); };
  if (!to_start_.empty()) {
    if (!has_room(to_start_.front().work.step)) return false;
    ScheduledTask task = std::move(to_start_.front());
    to_start_.pop_front();
    start_attempt(std::move(task));
    return true;
  }
  if (frontier_.empty() || !has_room(frontier_.next_step()) || !tasks_.has_id(frontier_.next_step(), workers))
    return false;
  start_task(frontier_.take());
  return true;
}

void Launcher::start_task(Ready work) {
  ScheduledTask task{.ref = tasks_.make(work.step), .policy = policies_[static_cast<std::size_t>(work.step)]};
  task.name = task.ref.path();
  task.indices = frontier_.indices(work.position);
  task.label = frontier_.label(work.position);
  task.work = std::move(work);
  start_attempt(std::move(task));
}

void Launcher::start_attempt(ScheduledTask task) {
  if (has_many_inputs(task) && !task.inputs_stored) return store_inputs(std::move(task));
  task.elsewhere = remote_[static_cast<std::size_t>(task.work.step)] && !task.is_fallback();
  task.log.emplace(log_stamps_, options_.max_log_size * 1'000'000);
  task.last_line.clear();
  task.stopped = false;
  update_metadata(task);
  const compute::Attempt attempt = describe_attempt(task);
  start_(std::move(task), attempt);
}

/// Stores the list of inputs before the task, which reads it, starts.
void Launcher::store_inputs(ScheduledTask task) {
  const compute::AttemptId id = next_attempt_++;
  task.inputs_stored = true;
  std::vector<store::OwnedObject> objects{services_.store.inputs(task.ref, compute::pack_inputs(task.work.inputs))};
  storing_.emplace(id, std::move(task));
  services_.background.put(std::move(objects),
                           [this, id] { to_start_.push_front(std::move(storing_.extract(id).mapped())); });
}

void Launcher::update_metadata(const ScheduledTask& task) {
  const store::Storage& storage = services_.store.storage();
  const bool first = task.attempt == 0;
  std::vector<store::Field> fields{{"ds-type", std::string(storage.type()), ""}, {"ds-root", storage.root(), ""}};
  if (!options_.origin_run.empty() && first) fields.push_back({"origin-run-id", options_.origin_run, ""});
  if (std::string path = frontier_.execution_path(task.work.position); !path.empty() && first)
    fields.push_back({"foreach-execution-path", std::move(path), ""});
  if (const std::string& version = services_.graph.flow().python_version; !version.empty() && first)
    fields.push_back({"python_version", version, ""});
  if (task.elsewhere && first && !code_package_.empty()) fields.push_back({"code-package", code_package_, ""});
  services_.metadata.add_fields(task.ref, task.attempt, fields);
  services_.metadata.attempt_begins(task.ref, task.attempt);
}

compute::Attempt Launcher::describe_attempt(const ScheduledTask& task) {
  const graph::Step& step = services_.graph.step(task.work.step);
  const store::Storage& storage = services_.store.storage();
  compute::Attempt attempt;
  attempt.id = next_attempt_++;
  attempt.step.flow = options_.flow;
  attempt.step.datastore = storage.type();
  attempt.step.datastore_root = storage.root();
  attempt.step.with = options_.with;
  attempt.step.step = step.name;
  attempt.step.run = task.ref.run;
  attempt.step.task = task.ref.task;
  attempt.step.inputs_stored = has_many_inputs(task);
  if (!attempt.step.inputs_stored) attempt.step.inputs = task.work.inputs;
  attempt.step.split = task.work.joined_split;
  attempt.step.split_index = task.work.split_index;
  attempt.step.retry_count = task.attempt;
  attempt.step.max_user_code_retries = task.policy.retries;
  if (task.is_fallback()) {
    attempt.step.failure_type = task.failure_type;
    attempt.step.failure = task.failure;
  } else {
    attempt.time_limit = task.policy.time_limit;
  }
  attempt.step.name_space = options_.name_space;
  attempt.step.branch = options_.branch;
  attempt.step.origin_run_id = options_.origin_run;
  attempt.step.tags = options_.tags;
  if (const auto variables = graph::find_decorator<environment>(step.decorators)) {
    for (const auto& [name, value] : variables->vars) attempt.environment.push_back(name + "=" + value);
  }
  return attempt;
}

bool Launcher::retry_or_rerun(ScheduledTask& task, const compute::Verdict& verdict) {
  if (verdict.hopeless) return false;
  const bool uncounted = task.lost < verdict.uncounted && task.policy.may_grow();
  if (!uncounted && task.attempt + 1 >= task.policy.attempts()) return false;
  ++task.attempt;
  if (uncounted) {
    ++task.lost;
    ++task.policy.retries;
  }
  const bool at_once = uncounted || task.is_fallback();
  const std::int64_t delay = at_once ? 0 : task.policy.retry_delay(task.elsewhere);
  report_.retried(task, delay, uncounted ? verdict.uncounted : 0);
  if (delay == 0) {
    to_start_.push_back(std::move(task));
    return true;
  }
  const auto timer = std::make_shared<base::Timers::Timer>();
  *timer = timers_.after(delay, [this, timer] { to_start_.push_back(std::move(delayed_.extract(*timer).mapped())); });
  delayed_.emplace(*timer, std::move(task));
  return true;
}

}  // namespace metaflow::runtime
