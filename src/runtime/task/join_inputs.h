// The inputs of a join, in any language: read on demand, and merged against the task that made the split.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "store/flow_store.h"
#include "value/sha1.h"

namespace metaflow::runtime {

/// Keeps a key and a size per input and artifact (28 bytes), so that 100,000 inputs fit in memory. When the inputs are
/// read in order, more and more of them are read ahead together, up to 64 inputs or 32 MB: a remote store takes as long
/// for one value as for many. Not thread-safe.
class JoinInputs {
 public:
  /// `artifacts`: the names of the artifacts, which the other functions refer to by index. It outlives this object.
  /// `all`: the names of the inputs' other artifacts are added to it, except those that Metaflow itself writes.
  /// `split`: the data of the task that made the split; inputs are merged against its artifacts. Throws
  /// Error{data_missing} for an input that has not finished, and Error{data_store}.
  JoinInputs(std::vector<std::string>& artifacts, std::shared_ptr<const store::FlowStore> store,
             std::vector<store::TaskRef> tasks, store::TaskData split, bool all = false);

  std::size_t size() const { return tasks_.size(); }
  const store::TaskData& first() const { return first_; }
  const store::TaskData& split() const { return split_; }
  const std::vector<store::TaskRef>& tasks() const { return tasks_; }

  // --- one input

  /// Whether an input has an artifact. An input from an older version of the program may lack it.
  bool has(std::size_t input, std::size_t artifact) const {
    return artifact < merged_.size() && stored(input, artifact).size != 0;
  }
  store::ArtifactRecord record(std::size_t input, std::size_t artifact) const;
  /// Announces which artifacts of an input are read next, so that they are read together, and ahead for the following
  /// inputs. Artifacts that the input does not have are ignored.
  void prepare(std::size_t input, std::span<const std::size_t> artifacts);
  /// The payload of an artifact that the input has. A large one is not kept: a second call reads it again.
  base::SharedBytes read(std::size_t input, std::size_t artifact);

  // --- all inputs

  /// The result of merging the inputs in one artifact.
  struct Merged {
    bool conflict = false;     // several inputs gave it a new value since the split
    bool in_no_input = false;  // no input has a value
    std::size_t input = 0;     // else: one of the inputs that have the merged value
  };
  const Merged& merged(std::size_t artifact) const { return merged_[artifact]; }
  /// The artifact that is carried over; requires a value and no conflict.
  store::ArtifactRecord carried(std::size_t artifact) const;
  /// The artifact as carried over from an input that has it.
  store::ArtifactRecord carried_from(std::size_t input, std::size_t artifact) const;

 private:
  struct Stored {
    value::Digest key{};
    std::uint64_t size = 0;  // 0: the input has no such artifact
  };
  const Stored& stored(std::size_t input, std::size_t artifact) const {
    return stored_[input * merged_.size() + artifact];
  }
  Merged merge(std::size_t artifact) const;
  void read_tasks(std::vector<std::string>& artifacts, bool all);
  void read_values(std::size_t begin, std::size_t end, std::span<const std::size_t> artifacts);

  const std::vector<std::string>& artifacts_;
  std::shared_ptr<const store::FlowStore> store_;
  std::vector<store::TaskRef> tasks_;
  store::TaskData split_;
  store::TaskData first_;  // of input 0
  std::vector<Stored> stored_;
  std::vector<Merged> merged_;  // per artifact

  /// The last values that were read: of these artifacts of the inputs [begin, end).
  struct Ahead {
    std::vector<std::size_t> artifacts;
    std::size_t begin = 0;
    std::size_t end = 0;
    std::map<value::Digest, base::SharedBytes> payloads;
  } ahead_;
};

}  // namespace metaflow::runtime
