#include "runtime/task/join.h"

#include <algorithm>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "value/key.h"
#include "value/unpickler.h"

namespace metaflow {

void detail::throw_no_input(std::size_t index, std::size_t size) {
  throw Error(ErrorCode::not_found, fmt::format("inputs[{}]: the join has {} inputs", index, size));
}

std::size_t detail::position_in(void* const* members, std::size_t count, const void* wanted) {
  const std::size_t position = static_cast<std::size_t>(std::find(members, members + count, wanted) - members);
  if (position == count)
    throw Error(ErrorCode::invalid_command, "A data member was named that is not an artifact of the flow",
                "A flow that has artifacts() lists all of them there.");
  return position;
}

namespace runtime {

using detail::ArtifactKind;

namespace {

constexpr std::size_t kAtATime = 64;  // inputs that are read together
constexpr std::uint64_t kBytesAtATime = 32ULL << 20;
constexpr std::uint64_t kLarge = 1ULL << 20;  // is not kept beside the value that it became

value::Digest digest_of(const std::string& key) {
  value::Digest digest{};
  for (std::size_t i = 0; i < digest.size(); ++i)
    digest[i] = static_cast<std::byte>(std::stoi(key.substr(2 * i, 2), nullptr, 16));
  return digest;
}

}  // namespace

JoinInputs::JoinInputs(const detail::FlowTable& flow, std::shared_ptr<const store::FlowStore> store,
                       std::vector<store::TaskRef> tasks, store::TaskData split)
    : flow_(flow),
      store_(std::move(store)),
      tasks_(std::move(tasks)),
      split_(std::move(split)),
      stored_(tasks_.size() * members_of(flow).size()) {
  std::vector<std::optional<store::TaskData>> some;
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    if (i % kAtATime == 0)
      some = store_->read_done(std::span(tasks_).subspan(i, std::min(kAtATime, tasks_.size() - i)));
    auto& data = some[i % kAtATime];
    if (!data)
      throw Error(ErrorCode::data_missing,
                  fmt::format("The input {} of the join is not finished or not in the store", tasks_[i].path()));
    for (std::size_t m = 0; m < members_of(flow).size(); ++m) {
      if (const auto* artifact = data->find(flow.members[m].name))
        stored_[i * members_of(flow).size() + m] = {digest_of(artifact->key), artifact->size};
    }
    if (i == 0) first_ = std::move(*data);
  }
}

store::ArtifactRecord JoinInputs::record(std::size_t input, std::size_t member) const {
  const Stored& at = stored(input, member);
  // The type is asked for by Metaflow's `dump` only; artifacts that are carried over get it from the first input.
  return {std::string(flow_.members[member].name), base::hex(at.key), at.size, ""};
}

std::string JoinInputs::key_of_current(const void* member, std::size_t index) const {
  const auto& ops = *flow_.members[index].ops;
  if (ops.stored != nullptr) {
    if (const auto* stored = ops.stored(member)) return stored->key();
  }
  detail::Pickler pickler{detail::ValuesOutlive{}};
  ops.encode(member, pickler);
  pickler.finish();
  return value::key_of(pickler.parts());
}

void JoinInputs::carry(const FlowObject& flow, std::vector<LoadedMember>& loaded) {
  own_ = &flow;
  carried_.resize(members_of(flow_).size());
  for (std::size_t m = 0; m < members_of(flow_).size(); ++m) {
    const auto& member = flow_.members[m];
    if (member.ops->kind == ArtifactKind::transient) continue;
    Carried& carried = carried_[m];
    // The distinct values of the inputs, without the one that was there before the split.
    const auto* before = split_.find(member.name);
    const Stored base = before != nullptr ? Stored{digest_of(before->key), before->size} : Stored{};
    std::size_t changed_input = SIZE_MAX;
    std::size_t any_input = SIZE_MAX;
    for (std::size_t i = 0; i < tasks_.size() && !carried.conflict; ++i) {
      const Stored& value = stored(i, m);
      if (value.size == 0) continue;
      any_input = i;
      if (base.size != 0 && value.key == base.key) continue;
      if (changed_input == SIZE_MAX) {
        changed_input = i;
      } else if (stored(changed_input, m).key != value.key) {
        carried.conflict = true;
      }
    }
    carried.in_no_input = any_input == SIZE_MAX;
    if (carried.in_no_input) continue;
    if (carried.conflict) {
      carried.initial_key = key_of_current(flow.member(m), m);
      continue;
    }
    carried.record = record(changed_input != SIZE_MAX ? changed_input : any_input, m);
    const auto* in_first = first_.find(member.name);
    if (in_first != nullptr) carried.record.type = in_first->type;
    loaded[m].record = &carried.record;
  }
  load_members(flow, store_, loaded);
}

std::size_t JoinInputs::index_of(std::string_view step) const {
  std::size_t found = SIZE_MAX;
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    if (tasks_[i].step != step) continue;
    if (found != SIZE_MAX)
      throw Error(ErrorCode::not_found,
                  fmt::format("inputs.at<{}>(): the join has several inputs from this step; use inputs[i]", step));
    found = i;
  }
  if (found == SIZE_MAX) {
    std::vector<std::string> steps;
    for (const auto& task : tasks_) {
      if (std::find(steps.begin(), steps.end(), task.step) == steps.end()) steps.push_back(task.step);
    }
    throw Error(ErrorCode::not_found, fmt::format("inputs.at<{}>(): the join has no input from this step, only from {}",
                                                  step, base::join(steps, ", ")));
  }
  return found;
}

void JoinInputs::load(std::size_t input, void* flow) {
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

void JoinInputs::load_member(std::size_t input, std::size_t member, void* into) {
  load_from(input, std::span(&member, 1), &into);
}

void JoinInputs::load_from(std::size_t input, std::span<const std::size_t> members, void* const* into) {
  read_ahead(input, members);
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Stored& at = stored(input, members[i]);
    if (at.size == 0) continue;  // the input's program had no such artifact: the initial value
    const auto& member = flow_.members[members[i]];
    if (member.ops->attach != nullptr) {
      attach_member(member, into[i], store_, record(input, members[i]));
      continue;
    }
    const auto known = ahead_.payloads.find(at.key);
    const bool is_known = known != ahead_.payloads.end();
    const auto payload = is_known ? known->second : store_->load_value(base::hex(at.key), at.size, member.name);
    if (is_known && at.size >= kLarge) ahead_.payloads.erase(known);
    decode_member(member, into[i], payload);
  }
}

void JoinInputs::read_ahead(std::size_t input, std::span<const std::size_t> members) {
  const bool same = std::equal(members.begin(), members.end(), ahead_.members.begin(), ahead_.members.end());
  if (same && input >= ahead_.begin && input < ahead_.end) return;
  const bool goes_on = same && input == ahead_.end;
  const std::size_t count = std::min({goes_on ? 2 * (ahead_.end - ahead_.begin) : 1, kAtATime, tasks_.size() - input});
  try {
    read_values(input, input + count, members);
  } catch (const Error& error) {
    // What is missing may be of an input that nobody wants.
    if (count == 1 || error.code() != ErrorCode::data_missing) throw;
    read_values(input, input + 1, members);
  }
}

void JoinInputs::read_values(std::size_t begin, std::size_t end, std::span<const std::size_t> members) {
  std::map<value::Digest, base::SharedBytes> payloads;
  std::vector<store::ArtifactRecord> records;
  std::vector<base::SharedBytes*> to_read;
  std::uint64_t bytes = 0;
  std::size_t input = begin;
  for (; input < end; ++input) {
    std::uint64_t more = 0;
    std::vector<std::size_t> missing;
    for (const std::size_t m : members) {
      const Stored& at = stored(input, m);
      if (at.size == 0 || flow_.members[m].ops->attach != nullptr || payloads.contains(at.key)) continue;
      const auto known = ahead_.payloads.find(at.key);
      if (known != ahead_.payloads.end()) {
        payloads.insert(*known);
      } else {
        missing.push_back(m);
        more += at.size;
      }
    }
    if (input > begin && bytes + more > kBytesAtATime) break;
    bytes += more;
    for (const std::size_t m : missing) {
      const auto [entry, is_new] = payloads.try_emplace(stored(input, m).key);
      if (!is_new) continue;  // two members of one value
      records.push_back(record(input, m));
      to_read.push_back(&entry->second);
    }
  }
  std::vector<const store::ArtifactRecord*> wanted;
  for (const auto& each : records) wanted.push_back(&each);
  std::vector<base::SharedBytes> read = store_->load_values(wanted);
  for (std::size_t i = 0; i < read.size(); ++i) *to_read[i] = std::move(read[i]);
  ahead_ = {{members.begin(), members.end()}, begin, input, std::move(payloads)};
}

void JoinInputs::merge(void* flow, const detail::MergeChoice& choice) {
  using Mode = detail::MergeChoice::Mode;
  if (own_ == nullptr || flow != own_->get())
    throw Error(ErrorCode::invalid_command,
                "inputs.merge() merges into the flow of the running join: inputs.merge(*this)");
  auto chosen = [&](std::size_t m) {
    const bool named = std::find(choice.members.begin(), choice.members.end(), m) != choice.members.end();
    return choice.mode == Mode::all || named == (choice.mode == Mode::include);
  };

  std::vector<std::string> conflicts;
  std::vector<std::string> missing;
  for (std::size_t m = 0; m < members_of(flow_).size(); ++m) {
    if (flow_.members[m].ops->kind == ArtifactKind::transient || !chosen(m)) continue;
    const std::string name(flow_.members[m].name);
    if (carried_[m].conflict && key_of_current(own_->member(m), m) == carried_[m].initial_key)
      conflicts.push_back(name);
    if (carried_[m].in_no_input && choice.mode == Mode::include) missing.push_back(name);
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

  // What is left out starts at its initial value, unless the step has set it.
  const FlowObject fresh(flow_);
  for (std::size_t m = 0; m < members_of(flow_).size(); ++m) {
    const auto& member = flow_.members[m];
    const auto kind = member.ops->kind;
    if (chosen(m) || carried_[m].record.key.empty() || kind == ArtifactKind::transient ||
        kind == ArtifactKind::constant || kind == ArtifactKind::parameter)
      continue;
    if (key_of_current(own_->member(m), m) != carried_[m].record.key) continue;
    detail::Pickler pickler{detail::ValuesOutlive{}};
    member.ops->encode(fresh.member(m), pickler);
    pickler.finish();
    const Document initial = value::read_back(pickler);
    member.ops->decode(own_->member(m), initial.root(), detail::Place{nullptr, member.name, 0});
  }
}

}  // namespace runtime
}  // namespace metaflow
