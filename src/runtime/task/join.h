// The inputs of a join: read when touched, merged against the task that split.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <metaflow/current.h>
#include <metaflow/inputs.h>

#include "runtime/task/artifacts.h"
#include "value/sha1.h"

namespace metaflow::runtime {

/// Keeps a key and a size per input and member (28 bytes), so that 100,000 inputs fit in memory. Who goes through the
/// inputs in order gets more and more of them read ahead together, up to 64 inputs or 32 MB: a remote store takes as
/// long for one value as for many.
class JoinInputs : public detail::InputsCore {
 public:
  /// `split`: what the task left that split; its artifacts are what the merge is against.
  JoinInputs(const detail::FlowTable& flow, std::shared_ptr<const store::FlowStore> store,
             std::vector<store::TaskRef> tasks, store::TaskData split);

  /// Before the step runs: every member on which all inputs agree, or that only one new value was given to since the
  /// split, is loaded into the flow; the others keep their initial values.
  void carry(const FlowObject& flow, std::vector<LoadedMember>& loaded);

  const store::TaskData& first() const { return first_; }
  const store::TaskData& split() const { return split_; }

  std::size_t size() const override { return tasks_.size(); }
  std::size_t index_of(std::string_view step) const override;
  void load(std::size_t input, void* flow) override;
  void load_member(std::size_t input, std::size_t member, void* into) override;
  void merge(void* flow, const detail::MergeChoice& choice) override;

 private:
  struct Stored {
    value::Digest key{};
    std::uint64_t size = 0;  // 0: the input has no such artifact
  };
  const Stored& stored(std::size_t input, std::size_t member) const {
    return stored_[input * members_of(flow_).size() + member];
  }
  store::ArtifactRecord record(std::size_t input, std::size_t member) const;
  void load_from(std::size_t input, std::span<const std::size_t> members, void* const* into);
  void read_ahead(std::size_t input, std::span<const std::size_t> members);
  void read_values(std::size_t begin, std::size_t end, std::span<const std::size_t> members);
  std::string key_of_current(const void* member, std::size_t index) const;

  const detail::FlowTable& flow_;
  std::shared_ptr<const store::FlowStore> store_;
  std::vector<store::TaskRef> tasks_;
  store::TaskData split_;
  store::TaskData first_;  // of input 0
  std::vector<Stored> stored_;

  /// What was read last: the values of these members of the inputs [begin, end).
  struct Ahead {
    std::vector<std::size_t> members;
    std::size_t begin = 0;
    std::size_t end = 0;
    std::map<value::Digest, base::SharedBytes> payloads;
  } ahead_;

  struct Carried {
    bool conflict = false;
    bool in_no_input = true;
    store::ArtifactRecord record;  // without a key: not carried
    std::string initial_key;       // of the value the member started with
  };
  std::vector<Carried> carried_;
  const FlowObject* own_ = nullptr;
};

}  // namespace metaflow::runtime
