#include "runtime/task/task.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <algorithm>

#include <metaflow/current.h>
#include <metaflow/error.h>

#include "base/text.h"
#include "graph/decorators.h"
#include "runtime/task/artifacts.h"
#include "runtime/task/current_task.h"
#include "runtime/task/failure.h"
#include "store/foreach.h"
#include "runtime/task/join.h"
#include "store/open.h"
#include "value/spool.h"
#include "value/unpickler.h"

namespace metaflow::runtime {

using detail::MemberKind;
using detail::Transition;
using store::ArtifactRecord;
using store::TaskData;

namespace {

/// A plain member above this size that a step did not change earns a line of advice.
constexpr std::uint64_t kAdviseFrom = 64ULL << 20;

class Task {
 public:
  Task(const detail::FlowDescription& flow, const compute::StepArguments& arguments)
      : flow_(flow),
        arguments_(arguments),
        store_(std::make_shared<store::FlowStore>(store::open_storage(arguments.datastore, arguments.datastore_root),
                                                  flow.name)),
        step_(find_step()),
        object_(flow),
        loaded_(flow.members.size()) {
    value::set_spool_directory(fmt::format("{}/{}", arguments.datastore_root, store_->blob_directory()));
  }

  int run() {
    try {
      load();
      call();
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
    for (const auto& step : flow_.steps) {
      if (step.node.name == arguments_.step) return step;
    }
    throw Error(ErrorCode::invalid_command, fmt::format("Step {} doesn't exist.", arguments_.step));
  }

  // --- before the step

  void load() {
    data_.attempt = arguments_.retry_count;
    current_.store = store_;
    current_task() = &current_;
    fill_current();
    if (step_.node.join) {
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
    for (std::size_t m = 0; m < flow_.members.size(); ++m) {
      const auto& member = flow_.members[m];
      if (member.ops->kind == MemberKind::transient) continue;
      const ArtifactRecord* record = input_.find(member.name);
      if (record == nullptr) continue;  // the start step's own members, or a member that is new since the origin run
      loaded_[m] = {record, load_member(member, object_.member(m), store_, *record)};
    }
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
    if (step_.choose != nullptr && is_recursive()) {
      iteration_ =
          input.step == arguments_.step ? read_internal<std::vector<std::size_t>>("_iteration_stack").at(0) + 1 : 0;
    }
  }

  bool is_recursive() const {
    for (int next : step_.node.targets) {
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
    inputs_ = std::make_unique<JoinInputs>(flow_, store_, arguments_.inputs, std::move(*split_data));
    const TaskData& at_split = inputs_->split();
    // Outside of the split again: the foreachs are those that were around it.
    frames_record_ = at_split.find("_foreach_stack");
    data_.items = at_split.items;
    if (at_split.splits && !data_.items.empty()) data_.items.pop_back();
    current_.items = data_.items;
    if (frames_record_ != nullptr && !data_.items.empty()) {
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
    for (const auto& member : flow_.members) {
      if (member.ops->kind == MemberKind::parameter) current.parameter_names.emplace_back(member.name);
    }
    current_.wanted_cpus = [this] { return wanted_cpus(); };
  }

  double wanted_cpus() const {
    std::vector<graph::Decorator> decorators;
    for (const auto& decorator : step_.decorators) {
      if (decorator.name == "resources") decorators.push_back(graph::from_description(decorator));
    }
    for (const std::string& spec : arguments_.with) {
      if (spec.starts_with("resources")) decorators.push_back(graph::parse_decorator(spec));
    }
    const auto wish = graph::find_decorator<resources>(decorators);
    return wish ? wish->cpu : 0;
  }

  // --- the step

  void call() {
    if (const auto index = current_.current.index(); step_.node.takes_item && item_.memory() == nullptr && index)
      item_ = store::read_foreach_item(*store_, current_.items.back(), *index);
    detail::StepCall step_call{object_.get(), &item_.root(), inputs_.get()};
    struct Both {
      void (*run)(const detail::StepCall&);
      const detail::StepCall* call;
    } both{step_.run, &step_call};
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
    switch (step_.node.transition) {
      case Transition::none: return {};
      case Transition::choose: {
        const auto variable = static_cast<std::size_t>(step_.variable);
        const int chosen = step_.choose(object_.member(variable));
        if (chosen < 0) {
          detail::Pickler pickler;
          flow_.members[variable].ops->encode(object_.member(variable), pickler);
          pickler.finish();
          std::string payload;
          for (const auto& part : pickler.parts()) payload += base::as_text(part);
          throw Error(
              ErrorCode::invalid_flow,
              fmt::format("Switch condition variable '{}' has value {} which is not in the available cases: [{}]",
                          flow_.members[variable].name,
                          repr(value::read_pickle(base::SharedBytes(payload)).root(), 100),
                          base::join(step_.cases, ", ")));
        }
        return std::string(
            flow_.steps[static_cast<std::size_t>(step_.node.targets[static_cast<std::size_t>(chosen)])].node.name);
      }
      default: return {};
    }
  }

  void finish() {
    const std::string chosen = next_step();
    if (!chosen.empty()) {
      data_.next = {chosen};
    } else {
      for (int next : step_.node.targets)
        data_.next.emplace_back(flow_.steps[static_cast<std::size_t>(next)].node.name);
    }
    save_members();
    if (step_.node.transition == Transition::foreach) save_split();
    save_internals(true, nullptr);
    write();
  }

  void save_members() {
    for (std::size_t m = 0; m < flow_.members.size(); ++m) {
      const auto& member = flow_.members[m];
      if (member.ops->kind == MemberKind::transient) continue;
      const bool ranged = step_.node.transition == Transition::foreach && static_cast<int>(m) == step_.variable &&
                          member.ops->kind != MemberKind::array;
      ArtifactRecord record = save_member(member, object_.member(m), *store_, loaded_[m], ranged ? &items_ : nullptr);
      const bool unchanged = loaded_[m].record != nullptr && loaded_[m].record->key == record.key;
      if (unchanged && member.ops->kind == MemberKind::plain && record.size > kAdviseFrom) {
        fmt::print(stderr,
                   "Advice: artifact '{}' ({}) was read and not changed; as an mf::Lazy or mf::Array it would cost "
                   "nothing where it is not touched.\n",
                   record.name, base::human_bytes(record.size));
      }
      data_.artifacts.push_back(std::move(record));
    }
  }

  /// What the tasks of a foreach need to find their items.
  void save_split() {
    const auto variable = static_cast<std::size_t>(step_.variable);
    const std::string name(flow_.members[variable].name);
    const auto range =
        std::find_if(data_.artifacts.begin(), data_.artifacts.end(), [&](const auto& a) { return a.name == name; });
    const store::ItemSource source{name, range->key, range->size, store::save_item_table(*store_, items_)};
    const Document document = StoredArtifact(store_, *range).read();
    const Value& root = document.root();
    if (root.kind() == Kind::array && root.array().shape.size() != 1) {
      throw Error(ErrorCode::invalid_flow,
                  fmt::format("Foreach over '{}': an array of one dimension is wanted, this one has {}", name,
                              root.array().shape.size()));
    }
    const std::size_t splits = root.size();
    if (splits == 0) {
      throw Error(ErrorCode::invalid_flow,
                  fmt::format("Foreach iterator over {} in step {} produced zero splits. Check your variable.", name,
                              arguments_.step));
    }
    data_.splits = splits;
    data_.items.push_back(source);
    add("_foreach_var", [&](detail::Pickler& out) { out.text(name); });
    add("_foreach_num_splits", [&](detail::Pickler& out) { out.unsigned_integer(splits); });
    add("_foreach_values", [&](detail::Pickler& out) {
      out.begin_list();
      for (std::size_t i = 0; i < splits; ++i) {
        out.next();
        out.text(store::frame_value(root[i]));
      }
      out.end();
    });
  }

  template <class F>
  void add(const char* name, F encode) {
    data_.artifacts.push_back(save_value(*store_, name, encode));
  }

  /// The artifacts that Metaflow itself wants of every task; docs/format.md lists them.
  void save_internals(bool ok, const Failure* failure) {
    add("_task_ok", [&](detail::Pickler& out) { out.boolean(ok); });
    add("_success", [&](detail::Pickler& out) { out.boolean(ok); });
    add("_current_step", [&](detail::Pickler& out) { out.text(arguments_.step); });
    add("_iteration_stack", [&](detail::Pickler& out) {
      out.begin_list();
      if (iteration_) {
        out.next();
        out.unsigned_integer(*iteration_);
      }
      out.end();
    });
    add("_transition", [&](detail::Pickler& out) {
      if (data_.next.empty()) return out.none();
      out.begin_tuple(2);
      detail::encode(out, data_.next);
      if (data_.splits) {
        out.text(data_.items.back().variable);
      } else {
        out.none();
      }
      out.end();
    });
    if (frames_record_ != nullptr) {
      data_.artifacts.push_back(*frames_record_);
    } else {
      add("_foreach_stack", [&](detail::Pickler& out) { store::encode_frames(out, current_.current.foreach_stack); });
    }
    if (failure != nullptr) {
      add("_exception", [&](detail::Pickler& out) {
        out.begin_object("metaflow.exception", "MetaflowExceptionWrapper", 1, false);
        out.none();
        out.end();
        out.begin_state();
        out.begin_dict();
        const std::string stack = failure->summary() + "\n" + base::join(failure->stack, "\n");
        for (const auto& [key, text] : {std::pair<const char*, const std::string&>{"exception", failure->message},
                                        {"type", failure->type},
                                        {"stacktrace", stack}}) {
          out.next();
          out.text(key);
          out.text(text);
        }
        out.end();
        out.end();
      });
    }
    for (const char* inherited : {"name", "_graph_info"}) {
      if (const ArtifactRecord* record = input_.find(inherited)) data_.artifacts.push_back(*record);
    }
  }

  void write() {
    std::sort(data_.artifacts.begin(), data_.artifacts.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    store_->write_data({arguments_.run, arguments_.step, arguments_.task}, data_);
  }

  // --- when the step threw

  void report(const Failure& failure) const {
    std::fflush(nullptr);
    std::string text = fmt::format("<flow {} step {}", flow_.name, arguments_.step);
    const auto& frames = current_.current.foreach_stack;
    if (!frames.empty()) {
      std::vector<std::string> indices;
      for (const auto& frame : frames) indices.push_back(std::to_string(frame.index));
      text += fmt::format("[{}] (input: {})", base::join(indices, ","), frames.back().value.substr(0, 20));
    }
    text += "> failed:\n" + failure.summary() + "\n";
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
      data_.ok = false;
      data_.failure = failure.summary().substr(0, 500);
      data_.next.clear();
      data_.splits.reset();
      data_.artifacts.clear();
      data_.items = current_.items;
      for (std::size_t m = 0; m < flow_.members.size(); ++m) {
        if (flow_.members[m].ops->kind == MemberKind::transient) continue;
        try {
          data_.artifacts.push_back(save_member(flow_.members[m], object_.member(m), *store_, loaded_[m]));
        } catch (const std::exception&) {
          // this one cannot be saved; perhaps it is what the step failed of
        }
      }
      save_internals(false, &failure);
      write();
    } catch (const std::exception& error) {
      fmt::print(stderr, "The artifacts of the failed step could not be saved: {}\n", error.what());
    }
  }

  const detail::FlowDescription& flow_;
  const compute::StepArguments& arguments_;
  std::shared_ptr<store::FlowStore> store_;
  const detail::StepDescription& step_;
  FlowObject object_;
  std::vector<LoadedMember> loaded_;  // per member
  TaskData input_;                    // of the input; of a join the first one
  std::unique_ptr<JoinInputs> inputs_;
  const ArtifactRecord* frames_record_ = nullptr;
  std::optional<std::size_t> iteration_;  // of a step that chooses itself
  Document item_;
  std::vector<detail::ItemSpan> items_;  // of the range that the step fans out over
  CurrentTask current_;
  TaskData data_;
};

}  // namespace

int execute_task(const detail::FlowDescription& flow, const compute::StepArguments& arguments,
                 const std::string& program) {
  install_crash_handler(program);
  try {
    Task task(flow, arguments);
    return task.run();
  } catch (const std::exception& error) {
    fmt::print(stderr, "<flow {} step {}> failed:\n{}\n\n", flow.name, arguments.step, error.what());
    return kTaskThrew;
  }
}

}  // namespace metaflow::runtime
