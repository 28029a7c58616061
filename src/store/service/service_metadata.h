// Metadata in Metaflow's metadata service, written while the run goes on: Metaflow's "service" provider.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/json.h"
#include "store/metadata.h"
#include "store/service/heartbeats.h"
#include "store/service/service_client.h"
#include "store/service/task_ids.h"

namespace metaflow::store {

/// Each task has a queue of rows, which are sent in order; several tasks send at a time. While the queues are too long,
/// the writer is not ready. Rows that the service rejects cause an exception from the loop. For one run. Not
/// thread-safe.
class ServiceMetadataWriter : public MetadataWriter {
 public:
  struct Options {
    std::string flow;
    std::string user;
    std::string datastore_type;
    std::string datastore_root;
  };

  /// All arguments outlive it. Throws Error{metadata_service} if the service cannot be reached or is too old.
  ServiceMetadataWriter(ServiceClient& client, base::EventLoop& loop, base::Clock& clock, Options options);

  std::string new_run(const std::vector<std::string>& tags, const std::vector<std::string>& system_tags) override;
  /// A run whose id is a number comes from the service, and is already registered.
  void register_run(const std::string& run, const std::vector<std::string>& tags,
                    const std::vector<std::string>& system_tags) override;
  void register_task(const TaskRef& task) override;
  void new_step(const std::string& run, const std::string& step) override;
  void expect_tasks(const std::string& run, const std::string& step, std::size_t tasks) override;
  bool ready(const std::string& run, const std::string& step, std::size_t soon) override;
  std::string new_task(const std::string& run, const std::string& step) override;
  void attempt_begins(const TaskRef& task, int attempt) override;
  void attempt_ends(const TaskRef& task, int attempt, bool ok) override;
  void add_fields(const TaskRef& task, int attempt, const std::vector<Field>& fields) override;
  void add_artifacts(const TaskRef& task, const TaskData& data, std::int64_t finished) override;
  void clone_artifacts(const TaskRef& task, const TaskRef& origin, const TaskData& data,
                       std::int64_t finished) override;
  bool idle() override { return outboxes_.empty(); }

 private:
  using Json = base::Json;

  /// Rows of one task that are sent in one request.
  struct Post {
    bool artifacts = false;  // else metadata
    int attempt = 0;
    Json rows;
    std::optional<net::Retry> retry{};  // for rows that the service rejected
    bool sent = false;
  };
  using Outbox = std::list<Post>;
  using Outboxes = std::unordered_map<std::string, Outbox>;  // by the path of the task

  ServiceAnswer create(const std::string& what, const std::string& path, const Json& row);
  void ensure_flow();
  TaskIds& ids(const std::string& run);
  std::string path(const TaskRef& task) const;
  void post(const TaskRef& task, bool artifacts, int attempt, Json rows);
  void send_next(const std::string& path);
  void send(const std::string& path);
  void answered(const std::string& path, const ServiceAnswer& answer);
  void find_missing_rows(const std::string& path);
  void sent(const std::string& path);

  ServiceClient& client_;
  base::EventLoop& loop_;
  base::Clock& clock_;
  Options options_;
  std::vector<std::string> system_tags_;
  std::unique_ptr<TaskIds> ids_;
  Heartbeats heartbeats_;
  Outboxes outboxes_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for timers that outlive this
};

}  // namespace metaflow::store
