// Removes the blobs that no run refers to, beside running flows of ours and of Python. docs/cleaning.md has the rules.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>

#include "runtime/cleaning/store_index.h"
#include "runtime/lease.h"

namespace metaflow::runtime {

/// In microseconds, by the clock of the storage.
struct CleaningTimes {
  static constexpr std::int64_t kDay = 86'400'000'000;
  /// A blob is removed if it is at least this old, and was found without reference at least this long ago.
  static constexpr std::int64_t kGrace = kDay;
  /// More than the age from which writers renew a blob that they reuse, with time for the task to end.
  static constexpr std::int64_t kLeastGrace = 2 * store::kBlobIsYoung;
  /// An unfinished run without a lease (Python's) may be running until it has not changed for this time. A lease of
  /// another host may still be held for this time.
  static constexpr std::int64_t kQuiet = 7 * kDay;
};

struct CollectOptions {
  std::int64_t grace = CleaningTimes::kGrace;
  bool dry_run = false;
  std::unordered_set<std::string> without{};  // runs of a dry run that would be removed: their references do not count
};

struct CollectReport {
  std::uint64_t blobs = 0;    // in the store
  std::uint64_t removed = 0;  // blobs that were removed, or would be
  std::uint64_t removed_bytes = 0;
  std::uint64_t waiting = 0;  // blobs without reference, for less than the grace period
  std::uint64_t waiting_bytes = 0;
  std::uint64_t archives = 0;  // blobs without reference that are not values, so something else may refer to them
  std::uint64_t archive_bytes = 0;
  std::uint64_t temporary = 0;              // files of processes that died
  std::vector<std::string> half_removed{};  // runs whose removal was interrupted
  std::string held_back{};  // why blobs that could be removed were kept, in a sentence; empty: none were
};

class BlobCollector {
 public:
  BlobCollector(store::FlowStore& store, const LeaseSite& site) : store_(store), site_(site) {}

  /// One pass. Throws Error{data_store}; a data.json that cannot be read stops it before anything is removed.
  CollectReport collect(const CollectOptions& options);

 private:
  struct Pass;

  void keep_what_runs_may_use(Pass& pass);
  void restore(Pass& pass);
  void remove_temporary(Pass& pass);
  void find_candidates(Pass& pass);
  void remove_due(Pass& pass);
  std::vector<store::Listed> values_among(Pass& pass, std::vector<store::Listed> blobs);
  std::string new_foreign_run(const Pass& pass);
  bool write_record(const Pass& pass);

  store::FlowStore& store_;
  LeaseSite site_;
};

/// The time of the storage's clock. Writes an object.
std::int64_t storage_time(store::FlowStore& store);

/// Whether the process that executes a run may be alive. `quiet`: for how long a lease of another host counts.
bool may_be_held(const LeaseSite& site, const std::string& flow, const std::string& run, const IndexedRun& indexed,
                 std::int64_t now, std::int64_t quiet);

/// Whether a run of Python, which has no lease, may be running.
bool may_run_elsewhere(const IndexedRun& run, std::int64_t now);

}  // namespace metaflow::runtime
