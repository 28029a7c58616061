#include "runtime/cpp/cpp_task.h"

#include <cstdio>
#include <memory>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "runtime/cpp/cpp_join.h"
#include "runtime/cpp/flow_object.h"
#include "runtime/cpp/members.h"
#include "runtime/task/exit_status.h"
#include "runtime/task/failure.h"
#include "runtime/task/forked_copy.h"
#include "runtime/task/session.h"
#include "store/item_labels.h"
#include "value/spool.h"
#include "value/unpickler.h"

namespace metaflow::runtime {

using detail::ArtifactKind;

namespace {

/// Advice is printed for a plain member of at least this size that a step did not change.
constexpr std::uint64_t kAdviseFrom = 64ULL << 20;

std::vector<std::string> names_of(std::span<const detail::Member> members) {
  std::vector<std::string> names;
  names.reserve(members.size());
  for (const detail::Member& member : members) names.emplace_back(member.name);
  return names;
}

class CppTask {
 public:
  CppTask(const detail::FlowTable& table, const detail::FlowDescription& flow, const graph::DecoratorTable& decorators,
          const compute::StepArguments& arguments)
      : table_(table),
        session_(flow, decorators, open_task_store(flow.name, arguments), arguments, names_of(members_of(table))),
        step_(table.steps[&session_.step() - flow.steps.data()]),
        object_(table) {
    session_.frames().set_labels([&table, &flow](const detail::StepDescription& split, const Value& item) {
      const auto label = table.steps[&split - flow.steps.data()].label;
      return label != nullptr ? store::own_label(label(item)) : store::item_label(item);
    });
    const std::string& root = arguments.scratch.empty() ? arguments.datastore_root : arguments.scratch;
    const bool in_files = !arguments.scratch.empty() || arguments.datastore == "local";
    if (in_files) value::set_spool_directory(fmt::format("{}/{}", root, session_.store()->blob_directory()));
  }

  int run() {
    try {
      session_.open();
      load_members();
      int chosen = -1;
      if (session_.begin([this] { save_what_can_be(); }) && call()) chosen = choose();
      save_members();
      session_.finish(chosen);
      return kTaskSucceeded;
    } catch (...) {
      session_.fail(describe_current_exception());
      save_what_can_be();
      session_.finish();
      return kTaskThrew;
    }
  }

 private:
  std::span<const detail::Member> members() const { return object_.members(); }
  bool is_artifact(std::size_t m) const { return members()[m].ops->kind != ArtifactKind::transient; }

  // --- before the step

  void load_members() {
    if (session_.inputs() != nullptr)
      join_ = std::make_unique<CppJoin>(table_, *session_.inputs(), session_.store(), object_);
    std::vector<std::size_t> to_read;
    for (std::size_t m = 0; m < members().size(); ++m) {
      const auto* record = session_.record(m);
      if (record == nullptr || !is_artifact(m)) continue;
      if (members()[m].ops->attach != nullptr) {
        attach_member(members()[m], object_.member(m), session_.store(), *record);
      } else {
        to_read.push_back(m);
      }
    }
    session_.read(to_read);
    for (const std::size_t m : to_read) decode_member(members()[m], object_.member(m), session_.payload(m));
  }

  // --- the step

  /// Returns false if the step threw; the exception was caught.
  bool call() {
    if (!session_.catches()) {
      call_step();
    } else {
      try {
        call_step();
      } catch (...) {
        session_.end();
        session_.catch_failure(describe_current_exception().as_caught());
        return false;
      }
    }
    session_.end();
    return true;
  }

  void call_step() {
    const ForkedCopyEnds ends;
    detail::StepCall step_call{object_.get(), &session_.frames().item(), join_.get()};
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
    // The step's output is written before the task is committed.
    if (std::fflush(nullptr) != 0) throw Error(ErrorCode::data_store, "The output of the step could not be written");
  }

  // --- after the step

  /// The index of the chosen target of a step that chooses; else -1.
  int choose() {
    if (step_.choose == nullptr) return -1;
    const detail::Member& member = members()[static_cast<std::size_t>(step_.variable)];
    const void* address = object_.member(static_cast<std::size_t>(step_.variable));
    const int chosen = step_.choose(address);
    if (chosen >= 0) return chosen;
    detail::Pickler pickler;
    member.ops->encode(address, pickler);
    pickler.finish();
    std::string text = repr(value::read_back(pickler).root(), 100);
    const std::string_view name = step_.enumerator(address);
    if (!name.empty()) text = fmt::format("{} ({})", name, text);
    throw session_.no_case(text);
  }

  void save_members() {
    for (std::size_t m = 0; m < members().size(); ++m) {
      if (!is_artifact(m)) continue;
      const auto& member = members()[m];
      const bool ranged = session_.step().transition == detail::Transition::foreach &&
                          static_cast<int>(m) == step_.variable && member.ops->kind != ArtifactKind::array;
      const auto* before = session_.record(m);
      const bool changed = save_member(m, ranged);
      if (!changed && before != nullptr && member.ops->kind == ArtifactKind::plain && before->size > kAdviseFrom) {
        fmt::print(stderr,
                   "Advice: artifact '{}' ({}) was loaded but not changed. Declare it as mf::Lazy or mf::Array: then "
                   "it is loaded only where it is used.\n",
                   member.name, base::human_bytes(before->size));
      }
    }
  }

  /// Returns whether the value differs from the one that was loaded. `ranged`: also records where the items are.
  bool save_member(std::size_t m, bool ranged) {
    const auto& member = members()[m];
    const void* address = object_.member(m);
    const auto& ops = *member.ops;
    if (!ranged) {
      const bool constant = ops.kind == ArtifactKind::constant || ops.kind == ArtifactKind::parameter;
      if (constant && session_.record(m) != nullptr) {
        session_.keep(m);
        return false;
      }
      if (const auto* stored = record_of_member(member, address)) {
        session_.refer(m, *stored);  // it may be the value of another artifact
        return true;
      }
    }
    detail::Pickler pickler{detail::ValuesOutlive{}};
    if (ranged) pickler.record_items();
    encode_member(member, address, pickler);
    return session_.save(m, {.parts = pickler.parts(),
                             .type = pickler.type(),
                             .spool_file = ops.spool_file != nullptr ? ops.spool_file(address) : -1,
                             .items = pickler.items()});
  }

  /// Saves the values that the step had set before it threw, for debugging.
  void save_what_can_be() {
    for (std::size_t m = 0; m < members().size(); ++m) {
      if (!is_artifact(m)) continue;
      try {
        save_member(m, false);
      } catch (const std::exception&) {
        // this value cannot be saved; that may be why the step failed
      }
    }
  }

  const detail::FlowTable& table_;
  TaskSession session_;
  const detail::StepTable& step_;
  FlowObject object_;
  std::unique_ptr<CppJoin> join_;
};

}  // namespace

int execute_cpp_task(const detail::FlowTable& table, const detail::FlowDescription& flow,
                     const graph::DecoratorTable& decorators, const compute::StepArguments& arguments,
                     const std::vector<std::string>& command) {
  install_crash_handler(command);
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // lines are shown live, and survive a crash of the process
  try {
    CppTask task(table, flow, decorators, arguments);
    return task.run();
  } catch (const std::exception& error) {
    fmt::print(stderr, "<flow {} step {}> failed:\n{}\n\n", flow.name, arguments.step, error.what());
    return kTaskThrew;
  }
}

}  // namespace metaflow::runtime
