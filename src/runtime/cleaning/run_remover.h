// Removes runs: their metadata, the data of their tasks, logs, journal and leases. Their blobs are the collector's.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "runtime/cleaning/blob_collector.h"
#include "store/metadata.h"

namespace metaflow::runtime {

/// Its members outlive the remover.
struct RemovalSite {
  store::FlowStore& store;
  store::MetadataReader& metadata;
  LeaseSite leases;
  std::string local_root;  // with the metadata, the journal and the mark of the latest run; empty: there is none
  std::string user;        // of this process
};

class RunRemover {
 public:
  explicit RunRemover(RemovalSite site) : site_(std::move(site)) {}

  /// What the storage knows about one run.
  IndexedRun examine(const std::string& run) const;
  /// Why the run cannot be removed: "being executed by ..."; empty: it can. `now`: by the clock of the storage.
  /// `force`: also a run of Python that may be running.
  std::string obstacle(const std::string& run, const IndexedRun& indexed, std::int64_t now, bool force) const;
  /// The origin of every run among `runs` that has cloned tasks. Readers of a clone also read its origin.
  std::map<std::string, std::string> origins(const std::vector<std::string>& runs) const;

  /// Removes a run, or finishes its removal. First, the run becomes invisible. A removal that is interrupted can be
  /// finished at any later time. Throws Error{data_store}.
  void remove(const std::string& run) const;

 private:
  std::string not_a_directory(const std::string& run) const;
  std::string recorded_origin(const std::string& run) const;
  void with_room(const std::string& run, const std::function<void()>& write) const;
  void replace_latest(const std::string& run) const;

  RemovalSite site_;
};

}  // namespace metaflow::runtime
