#include "runtime/task/session.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/format.h"
#include "base/text.h"
#include "graph/project.h"
#include "store/foreach.h"
#include "store/open.h"
#include "store/stored_artifact.h"

namespace metaflow::runtime {

using detail::Transition;
using store::ArtifactRecord;
using store::StoredArtifact;
using store::TaskData;

namespace {

bool same_bytes(store::Pieces pieces, std::span<const std::byte> whole) {
  std::size_t at = 0;
  for (const auto& piece : pieces) {
    if (piece.size() > whole.size() - at || std::memcmp(piece.data(), whole.data() + at, piece.size()) != 0)
      return false;
    at += piece.size();
  }
  return at == whole.size();
}

std::uint64_t size_of(store::Pieces pieces) {
  std::uint64_t size = 0;
  for (const auto& piece : pieces) size += piece.size();
  return size;
}

}  // namespace

std::shared_ptr<store::FlowStore> open_task_store(const std::string& flow, const compute::StepArguments& arguments) {
  return std::make_shared<store::FlowStore>(
      store::open_storage(arguments.datastore, arguments.datastore_root, arguments.scratch), flow);
}

TaskSession::TaskSession(const detail::FlowDescription& flow, const graph::DecoratorTable& table,
                         std::shared_ptr<store::FlowStore> store, compute::StepArguments arguments,
                         std::vector<std::string> artifacts)
    : flow_(flow),
      table_(table),
      arguments_(std::move(arguments)),
      store_(std::move(store)),
      step_(find_step()),
      names_(std::move(artifacts)),
      artifacts_(names_.size()),
      frames_(flow_, store_, current_) {
  if (arguments_.inputs_stored)
    arguments_.inputs = compute::unpack_inputs(store_->read_inputs({arguments_.run, arguments_.step, arguments_.task}));
}

TaskSession::~TaskSession() {
  if (current_task() == &current_) current_task() = nullptr;
}

const detail::StepDescription& TaskSession::find_step() const {
  if (const auto* step = flow_.find_step(arguments_.step)) return *step;
  throw Error(ErrorCode::invalid_command, fmt::format("Step {} doesn't exist.", arguments_.step));
}

// --- before the step

void TaskSession::open() {
  data_.attempt = arguments_.retry_count;
  current_.store = store_;
  current_task() = &current_;
  fill_current();
  if (step_.join) {
    open_join();
  } else {
    open_single();
  }
  if (arguments_.failure_type == CaughtException::kTimedOut) continue_timed_out();
}

/// Continues from the artifacts that the timed-out attempt saved, for the fallback attempt that records the failure.
/// Then the result is the same as for a step that threw.
void TaskSession::continue_timed_out() {
  auto data =
      store_->read_attempt({arguments_.run, arguments_.step, arguments_.task}, arguments_.max_user_code_retries);
  if (!data || data->ok) return;
  timed_out_ = std::move(*data);
  for (std::size_t a = 0; a < names_.size(); ++a) {
    if (const ArtifactRecord* left = timed_out_.find(names_[a])) artifacts_[a].record = left;
  }
}

void TaskSession::fill_current() {
  Current& current = current_.current;
  current.flow_name = flow_.name;
  current.run_id = arguments_.run;
  current.step_name = arguments_.step;
  current.task_id = arguments_.task;
  current.retry_count = arguments_.retry_count;
  current.origin_run_id = arguments_.origin_run_id;
  current.namespace_ = arguments_.name_space;
  const char* user = std::getenv("METAFLOW_USER");
  current.username = user != nullptr ? user : "";
  current.tags = arguments_.tags;
  if (!flow_.project.empty()) {
    current.project_name = flow_.project;
    current.branch_name = arguments_.branch;
    current.project_flow_name = fmt::format("{}.{}.{}", flow_.project, arguments_.branch, flow_.name);
    current.is_user_branch = graph::is_user_branch(arguments_.branch);
    current.is_production = graph::is_production_branch(arguments_.branch);
  }
  for (const auto& artifact : flow_.artifacts) {
    if (artifact.kind == detail::ArtifactKind::parameter) current.parameter_names.push_back(artifact.name);
  }
  current_.wanted_cpus = [this]() -> double {
    if (const char* cpus = std::getenv("METAFLOW_TASK_CPUS")) return std::strtod(cpus, nullptr);  // on a cluster
    const auto wish = graph::find_decorator<resources>(decorators());
    return wish ? wish->cpu : 0;
  };
}

void TaskSession::open_single() {
  if (arguments_.inputs.size() != 1) {
    throw Error(ErrorCode::usage,
                fmt::format("Step {} has one input, not {}", arguments_.step, arguments_.inputs.size()));
  }
  const store::TaskRef& input = arguments_.inputs[0];
  auto data = store_->read_done(input);
  if (!data)
    throw Error(ErrorCode::data_missing, fmt::format("The input {} is not finished or not in the store", input.path()));
  input_ = std::move(*data);
  data_.items = input_.items;
  if (takes_all_) {
    add_names(input_, names_);
    artifacts_.resize(names_.size());
  }
  // Some artifacts may be missing: at the start step all but parameters; later those that are new since the origin run.
  for (std::size_t a = 0; a < names_.size(); ++a) artifacts_[a].record = input_.find(names_[a]);
}

void TaskSession::open_join() {
  const auto split = store::parse_task_ref(arguments_.split);
  if (!split)
    throw Error(ErrorCode::usage,
                fmt::format("Step {} is a join: --split-path names the task that split", arguments_.step));
  auto split_data = store_->read_done(*split);
  if (!split_data)
    throw Error(ErrorCode::data_missing,
                fmt::format("The task {} that split is not finished or not in the store", split->path()));
  inputs_ = std::make_unique<JoinInputs>(names_, store_, arguments_.inputs, std::move(*split_data), takes_all_);
  artifacts_.resize(names_.size());
  frames_.open_join(inputs_->split(), data_.items);
  input_ = inputs_->first();
  for (std::size_t a = 0; a < names_.size(); ++a) {
    if (inputs_->merged(a).conflict || inputs_->merged(a).in_no_input) continue;
    artifacts_[a].carried = inputs_->carried(a);
    artifacts_[a].record = &artifacts_[a].carried;
  }
}

void TaskSession::read(std::span<const std::size_t> artifacts) {
  std::vector<const ArtifactRecord*> records;
  for (const std::size_t a : artifacts) records.push_back(record(a));
  std::vector<base::SharedBytes> payloads = store_->load_values(records);
  for (std::size_t i = 0; i < artifacts.size(); ++i) artifacts_[artifacts[i]].payload = std::move(payloads[i]);
}

bool TaskSession::begin(std::function<void()> save) {
  if (!step_.join) {
    frames_.open_single(arguments_, input_, data_.items);
    facts_.iteration = iteration();
  }
  if (!arguments_.failure.empty()) {
    catch_failure({arguments_.failure_type, last_failure(), ""});
    return false;
  }
  if (!step_.decorators.empty() || !arguments_.with.empty()) policy_ = policy_of(decorators());
  if (step_.takes_item) frames_.read_item();
  if (!arguments_.scratch.empty()) policy_.time_limit = 0;  // no limit while debugging
  if (policy_.time_limit > 0 && !step_keeps_time_) {
    const std::string message =
        fmt::format("Step {} timed out after {}", arguments_.step, duration_in_words(policy_.time_limit));
    auto at_timeout = [this, message, save = std::move(save)] { save_at_timeout(message, save); };
    arm_timeout(policy_.time_limit, message, std::move(at_timeout));
  }
  return true;
}

/// The iteration of a step that chooses itself.
std::optional<std::size_t> TaskSession::iteration() const {
  const auto is_this = [&](int next) { return &flow_.steps[static_cast<std::size_t>(next)] == &step_; };
  if (step_.transition != Transition::choose || std::none_of(step_.targets.begin(), step_.targets.end(), is_this))
    return std::nullopt;
  const store::TaskRef& input = arguments_.inputs[0];
  if (input.step != arguments_.step) return 0;
  return read_bookkeeping(store_, input, input_, "_iteration_stack").root().as<std::vector<std::size_t>>().at(0) + 1;
}

bool TaskSession::catches() const {
  return policy_.caught && arguments_.retry_count >= arguments_.max_user_code_retries;
}

// --- after the step

void TaskSession::end() { disarm_timeout(); }

void TaskSession::catch_failure(const CaughtException& caught) {
  end();
  policy_ = policy_of(decorators());
  if (policy_.caught && policy_.caught->print_exception) {
    fmt::print("@catch caught an exception from {}\n", description());
    for (const std::string& line : base::split(caught.stacktrace.empty() ? caught.exception : caught.stacktrace, '\n'))
      fmt::print(">  {}\n", line);
    std::fflush(stdout);
  }
  facts_.success = false;
  facts_.exception = caught;
}

/// The failure that a fallback attempt records.
std::string TaskSession::last_failure() const {
  if (arguments_.failure_type == CaughtException::kTimedOut) return arguments_.failure;
  const int attempts = arguments_.max_user_code_retries + 1;
  return fmt::format("Task execution failed {}. {}", attempts == 1 ? "once" : fmt::format("{} times", attempts),
                     attempts == 1 ? arguments_.failure : "The last time: " + arguments_.failure);
}

void TaskSession::fail(const Failure& failure) {
  std::fflush(nullptr);
  std::string text =
      fmt::format("{} failed:\n{}\n", description(), failure.report.empty() ? failure.summary() : failure.report);
  for (std::size_t i = 0; i < failure.stack.size(); ++i)
    text += fmt::format("    {}{}\n", i == 0 ? "thrown in " : "called by ", failure.stack[i]);
  text += "\n";
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);

  set_failed(failure.as_caught(), failure.summary());
}

void TaskSession::set_failed(CaughtException exception, const std::string& summary) {
  facts_.ok = facts_.success = false;
  facts_.exception = std::move(exception);
  data_.failure = summary.substr(0, 500);
  data_.next.clear();
  data_.splits.reset();
  data_.artifacts.clear();
  data_.items = current_.items;
}

void TaskSession::save_at_timeout(const std::string& message, const std::function<void()>& save) {
  if (!save) return;
  // A store that is not on this machine has connections, which belong to the process that was copied.
  if (arguments_.scratch.empty() && arguments_.datastore == "s3") store_ = open_task_store(flow_.name, arguments_);
  set_failed({CaughtException::kTimedOut, message, ""}, message);
  save();
  finish();
}

/// Describes the task: "<flow F step work[3] (input: 0.5)>"
std::string TaskSession::description() const {
  const auto& frames = current_.current.foreach_stack;
  if (frames.empty()) return fmt::format("<flow {} step {}>", flow_.name, arguments_.step);
  std::vector<std::string> indices;
  for (const auto& frame : frames) indices.push_back(std::to_string(frame.index));
  return fmt::format("<flow {} step {}[{}] (input: {})>", flow_.name, arguments_.step, base::join(indices, ","),
                     base::visible(frames.back().value));
}

std::size_t TaskSession::artifact(std::string_view name) {
  const auto found = std::find(names_.begin(), names_.end(), name);
  if (found != names_.end()) return static_cast<std::size_t>(found - names_.begin());
  names_.emplace_back(name);
  artifacts_.emplace_back();
  return names_.size() - 1;
}

void TaskSession::refer(std::size_t artifact, ArtifactRecord stored) {
  stored.name = names_[artifact];
  data_.artifacts.push_back(std::move(stored));
}

bool TaskSession::save(std::size_t artifact, const Payload& payload) {
  if (!payload.items.empty()) items_.assign(payload.items.begin(), payload.items.end());
  const ArtifactRecord* before = record(artifact);
  if (before != nullptr && same_bytes(payload.parts, artifacts_[artifact].payload.bytes())) {
    keep(artifact);
    return false;
  }
  data_.artifacts.push_back({names_[artifact], store_->save_value(payload.parts, payload.spool_file),
                             size_of(payload.parts), std::string(payload.type)});
  return before == nullptr || before->key != data_.artifacts.back().key;
}

Error TaskSession::no_case(const std::string& value) const {
  return {ErrorCode::invalid_flow,
          fmt::format("Switch condition variable '{}' has value {} which is not in the available cases: [{}]",
                      step_.variable, value, base::join(step_.cases, ", "))};
}

void TaskSession::finish(int chosen) {
  if (!facts_.ok) {
    try {
      write();
    } catch (const std::exception& error) {  // the store may be the cause of the failure
      fmt::print(stderr, "The artifacts of the failed step could not be saved: {}\n", error.what());
    }
    return;
  }
  data_.next.clear();
  for (std::size_t target = 0; target < step_.targets.size(); ++target) {
    if (chosen >= 0 && target != static_cast<std::size_t>(chosen)) continue;
    data_.next.push_back(flow_.steps[static_cast<std::size_t>(step_.targets[target])].name);
  }
  const bool splits = step_.transition == Transition::foreach && facts_.success;
  if (splits && fan_out_) {
    add_split(*store_, step_, *fan_out_, data_);
  } else if (splits) {
    add_split(
        store_, step_, items_, [this](const Value& item) { return frames_.label_of(step_, item); }, data_);
  }
  save_caught();
  write();
}

/// Stores the exception in the artifact that `catch` names.
void TaskSession::save_caught() {
  if (!policy_.caught || policy_.caught->var.empty()) return;
  const std::string& name = policy_.caught->var.name();
  std::erase_if(data_.artifacts, [&](const ArtifactRecord& a) { return a.name == name; });
  data_.artifacts.push_back(
      store::save_value(*store_, name, [&](detail::Pickler& out) { detail::encode(out, facts_.exception); }));
}

void TaskSession::write() {
  facts_.step = arguments_.step;
  facts_.frames = current_.current.foreach_stack;
  facts_.stored_frames = frames_.stored();
  if (takes_all_) facts_.flow = flow_.name;
  add_bookkeeping(*store_, facts_, input_, data_);
  std::sort(data_.artifacts.begin(), data_.artifacts.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  store_->write_data({arguments_.run, arguments_.step, arguments_.task}, data_);
}

}  // namespace metaflow::runtime
