#include "runtime/task/join_inputs.h"

#include <algorithm>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "runtime/task/bookkeeping.h"

namespace metaflow::runtime {

namespace {

constexpr std::size_t kInputsAtATime = 64;  // read together
constexpr std::uint64_t kInputBytesAtATime = 32ULL << 20;
constexpr std::uint64_t kLargeInput = 1ULL << 20;  // payloads of this size or more are not kept after decoding

value::Digest digest_of(const std::string& key) {
  value::Digest digest{};
  for (std::size_t i = 0; i < digest.size(); ++i)
    digest[i] = static_cast<std::byte>(std::stoi(key.substr(2 * i, 2), nullptr, 16));
  return digest;
}

}  // namespace

JoinInputs::JoinInputs(std::vector<std::string>& artifacts, std::shared_ptr<const store::FlowStore> store,
                       std::vector<store::TaskRef> tasks, store::TaskData split, bool all)
    : artifacts_(artifacts), store_(std::move(store)), tasks_(std::move(tasks)), split_(std::move(split)) {
  read_tasks(artifacts, all);
  merged_.resize(artifacts.size());
  for (std::size_t a = 0; a < artifacts.size(); ++a) merged_[a] = merge(a);
}

void JoinInputs::read_tasks(std::vector<std::string>& artifacts, bool all) {
  std::vector<std::vector<Stored>> rows(tasks_.size());  // of the artifacts that are known when an input is read
  std::vector<std::optional<store::TaskData>> some;
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    if (i % kInputsAtATime == 0)
      some = store_->read_done(std::span(tasks_).subspan(i, std::min(kInputsAtATime, tasks_.size() - i)));
    auto& data = some[i % kInputsAtATime];
    if (!data)
      throw Error(ErrorCode::data_missing,
                  fmt::format("The input {} of the join is not finished or not in the store", tasks_[i].path()));
    if (all) add_names(*data, artifacts);
    rows[i].resize(artifacts.size());
    for (std::size_t a = 0; a < artifacts.size(); ++a) {
      if (const auto* artifact = data->find(artifacts[a])) rows[i][a] = {digest_of(artifact->key), artifact->size};
    }
    if (i == 0) first_ = std::move(*data);
  }
  stored_.reserve(tasks_.size() * artifacts.size());
  for (std::vector<Stored>& row : rows) {
    row.resize(artifacts.size());
    stored_.insert(stored_.end(), row.begin(), row.end());
    row = {};
  }
}

// --- one input

store::ArtifactRecord JoinInputs::record(std::size_t input, std::size_t artifact) const {
  const Stored& at = stored(input, artifact);
  // Only Metaflow's `dump` reads the type. An artifact that is carried over gets the type from the first input.
  return {artifacts_[artifact], base::hex(at.key), at.size, ""};
}

base::SharedBytes JoinInputs::read(std::size_t input, std::size_t artifact) {
  const Stored& at = stored(input, artifact);
  const auto known = ahead_.payloads.find(at.key);
  if (known == ahead_.payloads.end()) return store_->load_value(base::hex(at.key), at.size, artifacts_[artifact]);
  base::SharedBytes payload = known->second;
  if (at.size >= kLargeInput) ahead_.payloads.erase(known);
  return payload;
}

void JoinInputs::prepare(std::size_t input, std::span<const std::size_t> artifacts) {
  if (artifacts.empty()) return;
  const bool same = std::equal(artifacts.begin(), artifacts.end(), ahead_.artifacts.begin(), ahead_.artifacts.end());
  if (same && input >= ahead_.begin && input < ahead_.end) return;
  const bool goes_on = same && input == ahead_.end;
  const std::size_t count =
      std::min({goes_on ? 2 * (ahead_.end - ahead_.begin) : 1, kInputsAtATime, tasks_.size() - input});
  try {
    read_values(input, input + count, artifacts);
  } catch (const Error& error) {
    // A missing value may belong to an input that the step never reads.
    if (count == 1 || error.code() != ErrorCode::data_missing) throw;
    read_values(input, input + 1, artifacts);
  }
}

void JoinInputs::read_values(std::size_t begin, std::size_t end, std::span<const std::size_t> artifacts) {
  std::map<value::Digest, base::SharedBytes> payloads;
  std::vector<store::ArtifactRecord> records;
  std::vector<base::SharedBytes*> to_read;
  std::uint64_t bytes = 0;
  std::size_t input = begin;
  for (; input < end; ++input) {
    std::uint64_t more = 0;
    std::vector<std::size_t> missing;
    for (const std::size_t a : artifacts) {
      const Stored& at = stored(input, a);
      if (at.size == 0 || payloads.contains(at.key)) continue;
      const auto known = ahead_.payloads.find(at.key);
      if (known != ahead_.payloads.end()) {
        payloads.insert(*known);
      } else {
        missing.push_back(a);
        more += at.size;
      }
    }
    if (input > begin && bytes + more > kInputBytesAtATime) break;
    bytes += more;
    for (const std::size_t a : missing) {
      const auto [entry, is_new] = payloads.try_emplace(stored(input, a).key);
      if (!is_new) continue;  // two artifacts have the same value
      records.push_back(record(input, a));
      to_read.push_back(&entry->second);
    }
  }
  std::vector<const store::ArtifactRecord*> wanted;
  for (const auto& each : records) wanted.push_back(&each);
  std::vector<base::SharedBytes> read = store_->load_values(wanted);
  for (std::size_t i = 0; i < read.size(); ++i) *to_read[i] = std::move(read[i]);
  ahead_ = {{artifacts.begin(), artifacts.end()}, begin, input, std::move(payloads)};
}

// --- all inputs

JoinInputs::Merged JoinInputs::merge(std::size_t artifact) const {
  // The distinct values of the inputs, without the value before the split.
  const auto* before = split_.find(artifacts_[artifact]);
  const Stored base = before != nullptr ? Stored{digest_of(before->key), before->size} : Stored{};
  std::size_t changed_input = SIZE_MAX;
  std::size_t any_input = SIZE_MAX;
  bool conflict = false;
  for (std::size_t i = 0; i < tasks_.size() && !conflict; ++i) {
    const Stored& value = stored(i, artifact);
    if (value.size == 0) continue;
    any_input = i;
    if (base.size != 0 && value.key == base.key) continue;
    if (changed_input == SIZE_MAX) {
      changed_input = i;
    } else if (stored(changed_input, artifact).key != value.key) {
      conflict = true;
    }
  }
  return {conflict, any_input == SIZE_MAX, changed_input != SIZE_MAX ? changed_input : any_input};
}

store::ArtifactRecord JoinInputs::carried(std::size_t artifact) const {
  return carried_from(merged(artifact).input, artifact);
}

store::ArtifactRecord JoinInputs::carried_from(std::size_t input, std::size_t artifact) const {
  store::ArtifactRecord carried = record(input, artifact);
  const auto* in_first = first_.find(artifacts_[artifact]);
  if (in_first != nullptr) carried.type = in_first->type;
  return carried;
}

}  // namespace metaflow::runtime
