#include "runtime/cpp/cpp_join.h"

#include <algorithm>

#include <metaflow/current.h>
#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "runtime/cpp/members.h"
#include "value/unpickler.h"

namespace metaflow {

void detail::throw_no_input(std::size_t index, std::size_t size) {
  throw Error(ErrorCode::not_found, fmt::format("inputs[{}]: the join has {} inputs", index, size));
}

std::size_t detail::position_in(void* const* members, std::size_t count, const void* wanted) {
  const std::size_t position = static_cast<std::size_t>(std::find(members, members + count, wanted) - members);
  if (position == count)
    throw Error(ErrorCode::invalid_command, "The data member is not an artifact of the flow",
                "Add it to artifacts() of the flow.");
  return position;
}

namespace runtime {

using detail::ArtifactKind;

CppJoin::CppJoin(const detail::FlowTable& flow, JoinInputs& inputs, std::shared_ptr<const store::FlowStore> store,
                 const FlowObject& own)
    : flow_(flow), inputs_(inputs), store_(std::move(store)), own_(own), initial_keys_(own.members().size()) {
  for (std::size_t m = 0; m < initial_keys_.size(); ++m) {
    const detail::Member& member = own.members()[m];
    if (member.ops->kind != ArtifactKind::transient && inputs_.merged(m).conflict)
      initial_keys_[m] = key_of_member(member, own.member(m));
  }
}

std::size_t CppJoin::index_of(std::string_view step) const {
  const auto& tasks = inputs_.tasks();
  std::size_t found = SIZE_MAX;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (tasks[i].step != step) continue;
    if (found != SIZE_MAX)
      throw Error(ErrorCode::not_found,
                  fmt::format("inputs.at<{}>(): the join has several inputs from this step; use inputs[i]", step));
    found = i;
  }
  if (found == SIZE_MAX) {
    std::vector<std::string> steps;
    for (const auto& task : tasks) {
      if (std::find(steps.begin(), steps.end(), task.step) == steps.end()) steps.push_back(task.step);
    }
    throw Error(ErrorCode::not_found, fmt::format("inputs.at<{}>(): the join has no input from this step, only from {}",
                                                  step, base::join(steps, ", ")));
  }
  return found;
}

void CppJoin::load(std::size_t input, void* flow) {
  std::vector<void*> addresses(members_of(flow_).size());
  flow_.addresses(flow, addresses.data());
  std::vector<std::size_t> members;
  std::vector<void*> into;
  for (std::size_t m = 0; m < addresses.size(); ++m) {
    if (flow_.members[m].ops->kind == ArtifactKind::transient) continue;
    members.push_back(m);
    into.push_back(addresses[m]);
  }
  load_from(input, members, into.data());
}

void CppJoin::load_member(std::size_t input, std::size_t member, void* into) {
  load_from(input, std::span(&member, 1), &into);
}

void CppJoin::load_from(std::size_t input, std::span<const std::size_t> members, void* const* into) {
  std::vector<std::size_t> to_read;
  for (const std::size_t m : members) {
    if (flow_.members[m].ops->attach == nullptr) to_read.push_back(m);
  }
  inputs_.prepare(input, to_read);
  for (std::size_t i = 0; i < members.size(); ++i) {
    const std::size_t m = members[i];
    if (!inputs_.has(input, m)) continue;  // it keeps its initial value
    const detail::Member& member = flow_.members[m];
    if (member.ops->attach != nullptr) {
      attach_member(member, into[i], store_, inputs_.record(input, m));
    } else {
      decode_member(member, into[i], inputs_.read(input, m));
    }
  }
}

void CppJoin::merge(void* flow, const detail::MergeChoice& choice) {
  using Mode = detail::MergeChoice::Mode;
  if (flow != own_.get())
    throw Error(ErrorCode::invalid_command,
                "inputs.merge() merges into the flow of the running join: inputs.merge(*this)");
  const auto members = own_.members();
  auto chosen = [&](std::size_t m) {
    const bool named = std::find(choice.members.begin(), choice.members.end(), m) != choice.members.end();
    return choice.mode == Mode::all || named == (choice.mode == Mode::include);
  };

  std::vector<std::string> conflicts;
  std::vector<std::string> missing;
  for (std::size_t m = 0; m < members.size(); ++m) {
    if (members[m].ops->kind == ArtifactKind::transient || !chosen(m)) continue;
    const std::string name(members[m].name);
    const JoinInputs::Merged& merged = inputs_.merged(m);
    if (merged.conflict && key_of_member(members[m], own_.member(m)) == initial_keys_[m]) conflicts.push_back(name);
    if (merged.in_no_input && choice.mode == Mode::include) missing.push_back(name);
  }
  std::sort(conflicts.begin(), conflicts.end());
  if (!conflicts.empty()) {
    throw Error(ErrorCode::merge_conflict,
                fmt::format("Step {} cannot merge the following artifacts due to them having conflicting "
                            "values:\n[{}].\nTo remedy this issue, be sure to "
                            "explicitly set those artifacts (using {} = ...) prior to calling merge, or leave them out "
                            "with mf::exclude.",
                            current().step_name, base::join(conflicts, ", "), conflicts[0]));
  }
  if (!missing.empty()) {
    throw Error(ErrorCode::merge_missing,
                fmt::format("Step {} specifies that [{}] should be merged but they are not present in any branch.",
                            current().step_name, base::join(missing, ", ")));
  }
  if (choice.mode == Mode::all) return;

  // A member that is left out gets its initial value, unless the step has set it.
  const FlowObject fresh(flow_);
  for (std::size_t m = 0; m < members.size(); ++m) {
    const detail::Member& member = members[m];
    const auto kind = member.ops->kind;
    const JoinInputs::Merged& merged = inputs_.merged(m);
    if (chosen(m) || merged.conflict || merged.in_no_input || kind == ArtifactKind::transient ||
        kind == ArtifactKind::constant || kind == ArtifactKind::parameter)
      continue;
    if (key_of_member(member, own_.member(m)) != inputs_.record(merged.input, m).key) continue;
    detail::Pickler pickler{detail::ValuesOutlive{}};
    member.ops->encode(fresh.member(m), pickler);
    pickler.finish();
    const Document initial = value::read_back(pickler);
    member.ops->decode(own_.member(m), initial.root(), detail::Place{nullptr, member.name, 0});
  }
}

}  // namespace runtime
}  // namespace metaflow
