// What is written of a run besides its objects.
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

/// Writes metadata where --metadata says; has the connection to the service if that is it. Not thread-safe.
class RunMetadata {
 public:
  /// `tell`: of trouble with the service. The loop outlives it.
  RunMetadata(Context& context, base::EventLoop& loop, std::function<void(const std::string&)> tell);
  ~RunMetadata();
  store::MetadataWriter& writer() { return *writer_; }
  /// Metaflow's name of the provider and place: "local@/x", "service@https://host".
  const std::string& name() const { return name_; }

 private:
  std::unique_ptr<store::ServiceClient> client_;
  std::unique_ptr<store::MetadataWriter> writer_;
  std::string name_;
};

/// Stores the pseudo task `_parameters`, and makes it visible. `data`: what it is to hold.
void write_parameters_task(Context& context, const graph::Graph& graph, store::MetadataWriter& metadata,
                           const store::TaskRef& task, store::TaskData data);

}  // namespace metaflow::cli
