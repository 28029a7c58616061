// The store behind the client's objects.
#pragma once

#include <metaflow/client.h>

#include <map>
#include <memory>
#include <string>

#include "store/flow_store.h"
#include "store/local/local_metadata.h"

namespace metaflow::client {

class Connection {
 public:
  Connection(std::string root, std::string name_space)
      : root_(std::move(root)), name_space_(std::move(name_space)), metadata_(root_) {}

  const std::string& root() const { return root_; }
  const std::string& name_space() const { return name_space_; }
  store::LocalMetadataReader& metadata() { return metadata_; }
  /// The objects of a flow. `place`: "s3://bucket/prefix"; empty: beside the metadata.
  const store::FlowStore& flow(const std::string& name, const std::string& place = {});
  bool sees(const store::RunInfo& run) const;

 private:
  std::string root_;
  std::string name_space_;
  store::LocalMetadataReader metadata_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<store::FlowStore>> flows_;  // by name and place
};

/// Where an artifact's blob is, for Connection::flow. A local store may have been moved with its metadata; others are
/// where they were.
std::string place_of(const store::ArtifactInfo& artifact);

inline Time time_of(std::int64_t microseconds) { return Time(std::chrono::microseconds(microseconds)); }

[[noreturn]] void throw_not_found(const std::string& what, const Connection& connection);

/// The steps around one step, from the artifact _graph_info of a run.
std::vector<std::string> neighbours_in_graph(Connection& connection, const std::string& flow, const std::string& run,
                                             const std::string& step, bool before);

}  // namespace metaflow::client
