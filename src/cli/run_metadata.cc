#include "cli/run_metadata.h"

#include <metaflow/version.h>

#include "base/files.h"
#include "store/local/local_metadata.h"
#include "store/service/service_client.h"
#include "store/service/service_metadata.h"

namespace metaflow::cli {

namespace {

constexpr const char* kVersion = "2.19.38+cpp" METAFLOW_CPP_VERSION;

}  // namespace

std::vector<std::string> system_tags(Context& context) {
  std::vector<std::string> tags{"runtime:" + context.settings.get("RUNTIME_NAME", "dev"), "user:" + context.user(),
                                std::string("metaflow_version:") + kVersion};
  const std::string& python = context.flow.python_version;
  tags.push_back(python.empty() ? "language:c++" : "python_version:" + python);
  if (!context.flow.project.empty()) {
    tags.push_back("project:" + context.flow.project);
    tags.push_back("project_branch:" + context.project_branch());
  }
  return tags;
}

RunMetadata::RunMetadata(Context& context, base::EventLoop& loop, std::function<void(const std::string&)> report) {
  const store::Storage& storage = context.store().storage();
  const std::string type(storage.type());
  if (!context.uses_service()) {
    writer_ = std::make_unique<store::LocalMetadataWriter>(context.local_root(), context.flow.name, context.user(),
                                                           type, storage.root(), context.clock);
    name_ = "local@" + base::absolute_path(context.local_root() + "/..");
    return;
  }
  client_ = std::make_unique<store::ServiceClient>(store::service_options(context.settings), loop, context.clock);
  client_->on_trouble(std::move(report));
  writer_ = std::make_unique<store::ServiceMetadataWriter>(
      *client_, loop, context.clock,
      store::ServiceMetadataWriter::Options{context.flow.name, context.user(), type, storage.root()});
  name_ = "service@" + client_->url();
}

RunMetadata::~RunMetadata() = default;

void write_parameters_task(Context& context, const graph::Graph& graph, store::MetadataWriter& metadata,
                           const store::TaskRef& task, store::TaskData data) {
  store::FlowStore& store = context.store();
  const std::int64_t now = context.clock.wall_microseconds();
  store.begin_attempt(task, 0, now);
  store.write_data(task, data);
  store.mark_done(task, 0);
  std::erase_if(data.artifacts, [](const auto& artifact) { return artifact.name == "_transition"; });
  metadata.add_artifacts(task, data, now);
  std::vector<store::Field> fields{{"runtime", context.settings.get("RUNTIME_NAME", "dev"), ""},
                                   {"user", context.user(), ""},
                                   {"metaflow_version", kVersion, ""},
                                   {"script-name", context.file_name(), ""},
                                   {"start_step", graph.step(graph.start()).name, "graph_structure"},
                                   {"end_step", graph.step(graph.end()).name, "graph_structure"},
                                   {"attempt-done", "0", ""}};
  if (!context.flow.python_version.empty()) fields.push_back({"python_version", context.flow.python_version, ""});
  metadata.add_fields(task, 0, fields);
}

}  // namespace metaflow::cli
