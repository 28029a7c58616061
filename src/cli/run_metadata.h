// The metadata of a run.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "cli/context.h"
#include "graph/graph.h"
#include "store/metadata.h"

namespace metaflow::store {
class ServiceClient;
}

namespace metaflow::cli {

std::vector<std::string> system_tags(Context& context);

/// Writes metadata to the provider that --metadata names. Owns the connection to the metadata service, if there is one.
/// Not thread-safe.
class RunMetadata {
 public:
  /// `report` gets messages about problems with the service. The loop outlives this object.
  RunMetadata(Context& context, base::EventLoop& loop, std::function<void(const std::string&)> report);
  ~RunMetadata();
  store::MetadataWriter& writer() { return *writer_; }
  /// Metaflow's name of the provider and its location: "local@/x", "service@https://host".
  const std::string& name() const { return name_; }

 private:
  std::unique_ptr<store::ServiceClient> client_;
  std::unique_ptr<store::MetadataWriter> writer_;
  std::string name_;
};

/// Stores and commits the pseudo task `_parameters`. `data` has its artifacts.
void write_parameters_task(Context& context, const graph::Graph& graph, store::MetadataWriter& metadata,
                           const store::TaskRef& task, store::TaskData data);

}  // namespace metaflow::cli
