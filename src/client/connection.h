// The store behind the objects of the client.
#pragma once

#include <map>
#include <memory>
#include <string>

#include <metaflow/client.h>

#include "base/clock.h"
#include "store/flow_store.h"
#include "store/metadata.h"

namespace metaflow::client {

class Connection {
 public:
  /// `provider`: that of the metadata: "local", in the directory .metaflow `root`, or "service".
  /// `root` of a service: its URL, if METAFLOW_SERVICE_URL is not to be used.
  Connection(std::string provider, std::string root, std::string name_space);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const std::string& provider() const { return provider_; }
  const std::string& root() const { return root_; }
  const std::string& name_space() const { return name_space_; }
  store::Metadata& metadata() { return *metadata_; }
  /// The argument of flow() for objects whose metadata has this datastore and root. Objects of a local store are always
  /// beside the metadata, since both may have been moved; those of other stores are where the metadata states.
  std::string place(const std::string& datastore, const std::string& root) const;
  std::string place(const store::ArtifactInfo& artifact) const;
  /// The objects of a flow. `place`: "s3://bucket/prefix" or a directory; empty: beside the metadata.
  const store::FlowStore& flow(const std::string& name, const std::string& place = {});
  bool is_visible(const store::RunInfo& run) const;

 private:
  std::string provider_;
  std::string root_;
  std::string name_space_;
  base::SystemClock clock_;
  std::unique_ptr<store::Metadata> metadata_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<store::FlowStore>> flows_;  // by name and place
};

inline Time time_of(std::int64_t microseconds) { return Time(std::chrono::microseconds(microseconds)); }

[[noreturn]] void throw_not_found(const std::string& what, const Connection& connection);

/// The steps before or after a step, from the artifact _graph_info of a run.
std::vector<std::string> neighbours_in_graph(Connection& connection, const std::string& flow, const std::string& run,
                                             const std::string& step, bool before);

}  // namespace metaflow::client
