// Reads runs from Metaflow's metadata service.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/json.h"
#include "store/metadata.h"
#include "store/service/service_client.h"

namespace metaflow::store {

/// Each call waits for the service. Throws Error{metadata_service}. Not thread-safe.
class ServiceMetadataReader : public Metadata {
 public:
  /// The clock outlives it. Sends no request.
  ServiceMetadataReader(ServiceOptions options, base::Clock& clock)
      : loop_(clock), client_(std::move(options), loop_, clock) {}

  std::vector<std::string> flows() override;
  std::vector<RunInfo> runs(const std::string& flow) override;
  std::optional<RunInfo> run(const std::string& flow, const std::string& run) override;
  std::vector<ObjectInfo> steps(const std::string& flow, const std::string& run) override;
  std::vector<ObjectInfo> tasks(const std::string& flow, const std::string& run, const std::string& step) override;
  std::vector<FieldInfo> fields(const std::string& flow, const TaskRef& task) override;
  std::vector<ArtifactInfo> artifacts(const std::string& flow, const TaskRef& task, int attempt) override;
  std::optional<ObjectInfo> flow(const std::string& flow) override;
  std::optional<ObjectInfo> step(const std::string& flow, const std::string& run, const std::string& step) override;
  std::optional<ObjectInfo> task(const std::string& flow, const TaskRef& task) override;
  std::optional<ArtifactInfo> artifact(const std::string& flow, const TaskRef& task, int attempt,
                                       const std::string& name) override;
  std::vector<std::string> edit_tags(const std::string& flow, const std::string& run,
                                     const std::vector<std::string>& add,
                                     const std::vector<std::string>& remove) override;

 private:
  base::Json get(const std::string& path);
  std::vector<base::Json> list(const std::string& path);
  std::optional<ObjectInfo> object(const std::string& path, const char* id, NameKind kind);
  std::vector<ObjectInfo> objects(const std::string& path, const char* id, NameKind kind);

  base::EventLoop loop_;
  ServiceClient client_;
};

}  // namespace metaflow::store
