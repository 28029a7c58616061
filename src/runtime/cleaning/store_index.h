// One look at all objects of a flow: its runs, its blobs, and leftovers of processes that died.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "store/flow_store.h"

namespace metaflow::runtime {

/// What the names and times of its objects say about a run. Times are in microseconds since 1970, by the clock of the
/// storage.
struct IndexedRun {
  std::uint64_t bytes = 0;    // of its objects; blobs do not belong to one run
  std::int64_t modified = 0;  // the last write
  std::int64_t began = 0;     // when its parameters were stored; 0: not yet
  int last_lease = -1;        // the highest number; -1: it never had a lease, so it is not ours
  std::int64_t lease_renewed = 0;
  bool has_end = false;           // whether an attempt of its step `end` is complete
  bool is_removed = false;        // its removal has begun
  std::vector<std::string> data;  // the paths of data.json of all attempts: they refer to the blobs
};

struct IndexedBlob {
  std::uint64_t size = 0;
  std::int64_t modified = 0;  // 0: only its side file is left
};

struct StoreIndex {
  std::int64_t now = 0;  // by the clock of the storage
  std::map<std::string, IndexedRun> runs{};
  std::unordered_map<std::string, IndexedBlob> blobs{};  // by key
  std::vector<store::Listed> temporary{};                // files that processes have not renamed or removed
  std::vector<store::Listed> set_aside{};                // blobs and side files that were about to be removed
};

/// Whether this library can have written an object. A browser of S3 makes objects such as "17/start/", and names of
/// files may have control characters.
bool is_ordinary_path(const std::string& path);

/// Reads the index of the objects below a path, which is that of the flow or of one of its runs. `now`: by the clock of
/// the storage.
StoreIndex read_index(store::FlowStore& store, std::int64_t now, const std::string& path);

/// Adds the keys of all blobs that the runs refer to, except removed ones and those in `without`.
///
/// This is the complete list of references to blobs:
/// - data.json of each attempt: the artifacts, and the items of foreachs (store::TaskData). Clones have their own. The
///   rows of artifacts in the metadata name the same keys, and are written later.
/// - Fields `code-package` of tasks, task_begin and local_metadata of Python, and deployments outside of the store
/// (Argo
///   Workflows, Step Functions) refer to archives. The collector never removes archives, so it does not look for them.
/// - Links to packages in jobs. Only live runs have such jobs; the collector keeps what is as young as they are.
/// - Included files of Python are not in the directory of the blobs.
///
/// Throws Error{data_store} if a data.json cannot be read: it may refer to any blob.
void add_references(store::FlowStore& store, const StoreIndex& index, const std::unordered_set<std::string>& without,
                    std::unordered_set<std::string>& keys);

}  // namespace metaflow::runtime
