#include "runtime/task/task.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <metaflow/current.h>
#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "graph/decorators.h"
#include "graph/project.h"
#include "runtime/language.h"
#include "runtime/policy.h"
#include "runtime/task/artifacts.h"
#include "runtime/task/bookkeeping.h"
#include "runtime/task/current_task.h"
#include "runtime/task/failure.h"
#include "runtime/task/join.h"
#include "store/foreach.h"
#include "store/open.h"
#include "value/spool.h"
#include "value/unpickler.h"

namespace metaflow::runtime {

using detail::ArtifactKind;
using detail::Transition;
using store::ArtifactRecord;
using store::TaskData;

namespace {

/// A plain member above this size that a step did not change earns a line of advice.
constexpr std::uint64_t kAdviseFrom = 64ULL << 20;

class Task {
 public:
  Task(const detail::FlowTable& members, const detail::FlowDescription& flow, const graph::DecoratorTable& table,
       const compute::StepArguments& arguments)
      : members_(members),
        flow_(flow),
        table_(table),
        arguments_(arguments),
        store_(std::make_shared<store::FlowStore>(
            store::open_storage(arguments.datastore, arguments.datastore_root, arguments.scratch), flow.name)),
        step_(find_step()),
        code_(find_code()),
        object_(members),
        loaded_(members_of(members).size()) {
    const std::string& root = arguments.scratch.empty() ? arguments.datastore_root : arguments.scratch;
    const bool in_files = !arguments.scratch.empty() || arguments.datastore == "local";
    if (arguments_.inputs_stored)
      arguments_.inputs = compute::unpack_inputs(store_->read_inputs({arguments.run, arguments.step, arguments.task}));
    if (in_files) value::set_spool_directory(fmt::format("{}/{}", root, store_->blob_directory()));
  }

  int run() {
    try {
      load();
      if (!arguments_.failure.empty()) {
        finish_caught({arguments_.failure_type, failure_in_words(), ""});
        return kTaskSucceeded;
      }
      if (!call()) return kTaskSucceeded;
      finish();
      return kTaskSucceeded;
    } catch (...) {
      const Failure failure = describe_current_exception();
      report(failure);
      save_failure(failure);
      return kTaskThrew;
    }
  }

 private:
  const detail::StepDescription& find_step() const {
    if (const auto* step = flow_.find_step(arguments_.step)) return *step;
    throw Error(ErrorCode::invalid_command, fmt::format("Step {} doesn't exist.", arguments_.step));
  }

  const detail::StepTable& find_code() const { return members_.steps[&step_ - flow_.steps.data()]; }

  // --- before the step

  void load() {
    data_.attempt = arguments_.retry_count;
    current_.store = store_;
    current_task() = &current_;
    fill_current();
    if (step_.join) {
      load_join();
    } else {
      load_single();
    }
  }

  void load_single() {
    if (arguments_.inputs.size() != 1) {
      throw Error(ErrorCode::usage,
                  fmt::format("Step {} has one input, not {}", arguments_.step, arguments_.inputs.size()));
    }
    const store::TaskRef& input = arguments_.inputs[0];
    auto data = store_->read_done(input);
    if (!data)
      throw Error(ErrorCode::data_missing,
                  fmt::format("The input {} is not finished or not in the store", input.path()));
    input_ = std::move(*data);
    data_.items = input_.items;
    for (std::size_t m = 0; m < members_of(members_).size(); ++m) {
      const auto& member = members_.members[m];
      if (member.ops->kind == ArtifactKind::transient) continue;
      const ArtifactRecord* record = input_.find(member.name);
      if (record == nullptr) continue;  // the start step's own members, or a member that is new since the origin run
      loaded_[m].record = record;
    }
    load_members(object_, store_, loaded_);
    load_frames(input);
  }

  /// The foreachs around this task: those of its input, and the one that the input split, if it did.
  void load_frames(const store::TaskRef& input) {
    frames_record_ = input_.find("_foreach_stack");
    auto& frames = current_.current.foreach_stack;
    if (frames_record_ != nullptr && (arguments_.split_index || !input_.items.empty() || !input_.has_details)) {
      frames = store::decode_frames(StoredArtifact(store_, *frames_record_).read().root());
    }
    if (arguments_.split_index) {
      ForeachFrame frame{arguments_.step, "", 0, *arguments_.split_index, ""};
      if (input_.has_details && !input_.items.empty()) {
        frame.variable = input_.items.back().variable;
        frame.num_splits = input_.splits.value_or(0);
      } else {  // a split that Python made
        frame.variable = read_internal<std::string>("_foreach_var");
        frame.num_splits = read_internal<std::size_t>("_foreach_num_splits");
        const ArtifactRecord* range = input_.find(frame.variable);
        if (range == nullptr)
          throw Error(ErrorCode::data_missing,
                      fmt::format("The input {} has no artifact '{}' to fan out over", input.path(), frame.variable));
        data_.items.push_back({frame.variable, range->key, range->size, ""});
      }
      frames_record_ = nullptr;  // a list of its own
      frames.push_back(frame);
    }
    current_.items = data_.items;
    if (arguments_.split_index) {
      item_ = store::read_foreach_item(*store_, data_.items.back(), *arguments_.split_index);
      frames.back().value = store::frame_value(item_.root());
    }
    if (code_.choose != nullptr && is_recursive()) {
      iteration_ =
          input.step == arguments_.step ? read_internal<std::vector<std::size_t>>("_iteration_stack").at(0) + 1 : 0;
    }
  }

  bool is_recursive() const {
    for (int next : step_.targets) {
      if (&flow_.steps[static_cast<std::size_t>(next)] == &step_) return true;
    }
    return false;
  }

  template <class T>
  T read_internal(const char* name) const {
    const ArtifactRecord* record = input_.find(name);
    if (record == nullptr)
      throw Error(ErrorCode::data_missing,
                  fmt::format("The input of step {} has no artifact '{}'", arguments_.step, name));
    return StoredArtifact(store_, *record).read().as<T>();
  }

  void load_join() {
    const auto split = store::parse_task_ref(arguments_.split);
    if (!split)
      throw Error(ErrorCode::usage,
                  fmt::format("Step {} is a join: --split-path names the task that split", arguments_.step));
    auto split_data = store_->read_done(*split);
    if (!split_data)
      throw Error(ErrorCode::data_missing,
                  fmt::format("The task {} that split is not finished or not in the store", split->path()));
    inputs_ = std::make_unique<JoinInputs>(members_, store_, arguments_.inputs, std::move(*split_data));
    const TaskData& at_split = inputs_->split();
    // Outside of the split again: the foreachs are those that were around it.
    frames_record_ = at_split.find("_foreach_stack");
    data_.items = at_split.items;
    if (at_split.splits && !data_.items.empty()) data_.items.pop_back();
    current_.items = data_.items;
    if (frames_record_ != nullptr && (!data_.items.empty() || !at_split.has_details)) {
      current_.current.foreach_stack = store::decode_frames(StoredArtifact(store_, *frames_record_).read().root());
    }
    input_ = inputs_->first();
    inputs_->carry(object_, loaded_);
  }

  void fill_current() {
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
    for (const auto& member : members_of(members_)) {
      if (member.ops->kind == ArtifactKind::parameter) current.parameter_names.emplace_back(member.name);
    }
    current_.wanted_cpus = [this] { return wanted_cpus(); };
  }

  double wanted_cpus() const {
    if (const char* cpus = std::getenv("METAFLOW_TASK_CPUS")) return std::strtod(cpus, nullptr);  // on a cluster
    const auto wish = graph::find_decorator<resources>(decorators());
    return wish ? wish->cpu : 0;
  }

  std::vector<graph::Decorator> decorators() const { return table_.of_step(step_, arguments_.with); }

  // --- the step

  /// False: the step threw, that was caught, and the task is finished.
  bool call() {
    if (!step_.decorators.empty() || !arguments_.with.empty()) policy_ = policy_of(decorators());
    if (const auto index = current_.current.index(); step_.takes_item && item_.memory() == nullptr && index)
      item_ = store::read_foreach_item(*store_, current_.items.back(), *index);
    if (policy_.time_limit > 0 && arguments_.scratch.empty()) {  // somebody who debugs takes their time
      arm_timeout(policy_.time_limit,
                  fmt::format("Step {} timed out after {}", arguments_.step, duration_in_words(policy_.time_limit)));
    }
    if (!policy_.caught || arguments_.retry_count < arguments_.max_user_code_retries) {
      call_step();
    } else {
      try {
        call_step();
      } catch (...) {
        disarm_timeout();
        const Failure failure = describe_current_exception();
        finish_caught(failure.as_caught());
        return false;
      }
    }
    disarm_timeout();
    return true;
  }

  void call_step() {
    detail::StepCall step_call{object_.get(), &item_.root(), inputs_.get()};
    struct Both {
      void (*run)(const detail::StepCall&);
      const detail::StepCall* call;
    } both{code_.run, &step_call};
    call_watched(
        [](void* argument) {
          const auto& b = *static_cast<Both*>(argument);
          b.run(*b.call);
        },
        &both);
    // What the step printed must be on its way before the task is committed.
    if (std::fflush(nullptr) != 0) throw Error(ErrorCode::data_store, "The output of the step could not be written");
  }

  // --- after the step

  std::string next_step() {
    switch (step_.transition) {
      case Transition::none: return {};
      case Transition::choose: {
        const auto variable = static_cast<std::size_t>(code_.variable);
        const int chosen = code_.choose(object_.member(variable));
        if (chosen < 0) {
          detail::Pickler pickler;
          members_.members[variable].ops->encode(object_.member(variable), pickler);
          pickler.finish();
          std::string text = repr(value::read_back(pickler).root(), 100);
          const std::string_view name = code_.enumerator(object_.member(variable));
          if (!name.empty()) text = fmt::format("{} ({})", name, text);
          throw Error(
              ErrorCode::invalid_flow,
              fmt::format("Switch condition variable '{}' has value {} which is not in the available cases: [{}]",
                          members_.members[variable].name, text, base::join(step_.cases, ", ")));
        }
        return std::string(flow_.steps[static_cast<std::size_t>(step_.targets[static_cast<std::size_t>(chosen)])].name);
      }
      default: return {};
    }
  }

  void finish() {
    const std::string chosen = next_step();
    if (!chosen.empty()) {
      data_.next = {chosen};
    } else {
      next_as_in_graph();
    }
    save_members();
    if (step_.transition == Transition::foreach)
      add_split(store_, arguments_.step, std::string(members_.members[static_cast<std::size_t>(code_.variable)].name),
                items_, data_);
    save_caught(std::nullopt);
    write(TaskFacts{});
  }

  void next_as_in_graph() {
    data_.next.clear();
    for (int next : step_.targets) data_.next.emplace_back(flow_.steps[static_cast<std::size_t>(next)].name);
  }

  /// The task is as good as done, only that its step failed. What it had set is kept.
  void finish_caught(const CaughtException& caught) {
    policy_ = policy_of(decorators());
    if (policy_.caught && policy_.caught->print_exception) {
      fmt::print("@catch caught an exception from {}\n", who());
      for (const std::string& line :
           base::split(caught.stacktrace.empty() ? caught.exception : caught.stacktrace, '\n'))
        fmt::print(">  {}\n", line);
      std::fflush(stdout);
    }
    data_.artifacts.clear();
    next_as_in_graph();
    save_members();
    save_caught(caught);
    write(TaskFacts{.step = {}, .success = false, .iteration = {}, .frames = {}, .exception = {}});
  }

  /// The artifact that catch was asked for.
  void save_caught(const std::optional<CaughtException>& caught) {
    if (!policy_.caught || policy_.caught->var.empty()) return;
    std::erase_if(data_.artifacts, [&](const ArtifactRecord& a) { return a.name == policy_.caught->var; });
    data_.artifacts.push_back(
        save_value(*store_, policy_.caught->var, [&](detail::Pickler& out) { detail::encode(out, caught); }));
  }

  /// What an attempt notes that comes after the last that was to succeed.
  std::string failure_in_words() const {
    if (arguments_.failure_type == CaughtException::kTimedOut) return arguments_.failure;
    const int attempts = arguments_.max_user_code_retries + 1;
    return fmt::format("Task execution failed {}. {}", attempts == 1 ? "once" : fmt::format("{} times", attempts),
                       attempts == 1 ? arguments_.failure : "The last time: " + arguments_.failure);
  }

  void save_members() {
    for (std::size_t m = 0; m < members_of(members_).size(); ++m) {
      const auto& member = members_.members[m];
      if (member.ops->kind == ArtifactKind::transient) continue;
      const bool ranged = step_.transition == Transition::foreach && static_cast<int>(m) == code_.variable &&
                          member.ops->kind != ArtifactKind::array;
      ArtifactRecord record = save_member(member, object_.member(m), *store_, loaded_[m], ranged ? &items_ : nullptr);
      const bool unchanged = loaded_[m].record != nullptr && loaded_[m].record->key == record.key;
      if (unchanged && member.ops->kind == ArtifactKind::plain && record.size > kAdviseFrom) {
        fmt::print(stderr,
                   "Advice: artifact '{}' ({}) was read and not changed; as an mf::Lazy or mf::Array it would cost "
                   "nothing where it is not touched.\n",
                   record.name, base::human_bytes(record.size));
      }
      data_.artifacts.push_back(std::move(record));
    }
  }

  void write(TaskFacts facts) {
    facts.step = arguments_.step;
    facts.iteration = iteration_;
    facts.frames = current_.current.foreach_stack;
    facts.stored_frames = frames_record_;
    add_bookkeeping(*store_, facts, input_, data_);
    std::sort(data_.artifacts.begin(), data_.artifacts.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    store_->write_data({arguments_.run, arguments_.step, arguments_.task}, data_);
  }

  // --- when the step threw

  /// "<flow F step work[3] (input: 0.5)>"
  std::string who() const {
    const auto& frames = current_.current.foreach_stack;
    if (frames.empty()) return fmt::format("<flow {} step {}>", flow_.name, arguments_.step);
    std::vector<std::string> indices;
    for (const auto& frame : frames) indices.push_back(std::to_string(frame.index));
    return fmt::format("<flow {} step {}[{}] (input: {})>", flow_.name, arguments_.step, base::join(indices, ","),
                       frames.back().value.substr(0, 20));
  }

  void report(const Failure& failure) const {
    std::fflush(nullptr);
    std::string text = fmt::format("{} failed:\n{}\n", who(), failure.summary());
    for (std::size_t i = 0; i < failure.stack.size(); ++i)
      text += fmt::format("    {}{}\n", i == 0 ? "thrown in " : "called by ", failure.stack[i]);
    text += "\n";
    std::fputs(text.c_str(), stderr);
    std::fflush(stderr);
  }

  /// Keeps what the step had set before it threw, for whoever looks for the reason. Best effort: the store may be the
  /// reason.
  void save_failure(const Failure& failure) {
    try {
      data_.failure = failure.summary().substr(0, 500);
      data_.next.clear();
      data_.splits.reset();
      data_.artifacts.clear();
      data_.items = current_.items;
      for (std::size_t m = 0; m < members_of(members_).size(); ++m) {
        if (members_.members[m].ops->kind == ArtifactKind::transient) continue;
        try {
          data_.artifacts.push_back(save_member(members_.members[m], object_.member(m), *store_, loaded_[m]));
        } catch (const std::exception&) {
          // this one cannot be saved; perhaps it is what the step failed of
        }
      }
      write(TaskFacts{
          .step = {}, .ok = false, .success = false, .iteration = {}, .frames = {}, .exception = failure.as_caught()});
    } catch (const std::exception& error) {
      fmt::print(stderr, "The artifacts of the failed step could not be saved: {}\n", error.what());
    }
  }

  const detail::FlowTable& members_;
  const detail::FlowDescription& flow_;
  const graph::DecoratorTable& table_;
  compute::StepArguments arguments_;
  std::shared_ptr<store::FlowStore> store_;
  const detail::StepDescription& step_;
  const detail::StepTable& code_;
  FlowObject object_;
  std::vector<LoadedMember> loaded_;  // per member
  TaskData input_;                    // of the input; of a join the first one
  std::unique_ptr<JoinInputs> inputs_;
  const ArtifactRecord* frames_record_ = nullptr;
  std::optional<std::size_t> iteration_;  // of a step that chooses itself
  Document item_;
  std::vector<detail::ItemSpan> items_;  // of the range that the step fans out over
  AttemptPolicy policy_;
  CurrentTask current_;
  TaskData data_;
};

}  // namespace

int execute_task(const detail::FlowTable& members, const detail::FlowDescription& flow,
                 const graph::DecoratorTable& table, const compute::StepArguments& arguments,
                 const std::vector<std::string>& command) {
  install_crash_handler(command);
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // lines are shown live, and not lost with a process that dies
  try {
    Task task(members, flow, table, arguments);
    return task.run();
  } catch (const std::exception& error) {
    fmt::print(stderr, "<flow {} step {}> failed:\n{}\n\n", flow.name, arguments.step, error.what());
    return kTaskThrew;
  }
}

}  // namespace metaflow::runtime
