#include "cli/remote.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include <metaflow/error.h>

#include "base/text.h"
#include "compute/delivery.h"
#include "compute/kubernetes/kubernetes_backend.h"
#include "compute/package/elf.h"
#include "net/aws_config.h"
#include "runtime/platform_settings.h"
#include "runtime/pod_request.h"
#include "store/open.h"

namespace metaflow::cli {

namespace {

constexpr const char* kFetcherImage = "curlimages/curl:8.10.1";

/// Settings that tell a program where S3 is; what is secret is not among them.
constexpr const char* kPassedOn[] = {"S3_ENDPOINT_URL", "S3_SERVER_SIDE_ENCRYPTION", "S3_VERIFY_CERTIFICATE",
                                     "DATATOOLS_S3ROOT"};

std::int64_t seconds_of(const base::Settings& settings, const std::string& name, std::int64_t otherwise) {
  const auto text = settings.get(name);
  if (!text) return otherwise;
  std::int64_t seconds = 0;
  const auto parsed = std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (parsed.ec != std::errc() || parsed.ptr != text->data() + text->size() || seconds < 0)
    throw Error(ErrorCode::invalid_command,
                fmt::format("METAFLOW_{} is '{}', and has to be a number of seconds", name, *text));
  return seconds;
}

}  // namespace

Remote::Remote(Context& context, const graph::Graph& graph) : context_(context), graph_(graph) {
  for (const graph::Step& step : graph.steps()) {
    runtime::check_platforms(step.name, step.decorators);
    if (graph::has_decorator(step.decorators, "batch"))
      throw Error(ErrorCode::batch,
                  fmt::format("Step *{}* is marked for AWS Batch, which this version cannot use", step.name));
    auto request = runtime::pod_request(step.name, step.decorators, context.settings);
    if (!request) continue;
    requests_.emplace(step.name, std::move(*request));
  }
  if (requests_.empty()) return;
  if (context.top.datastore == "local") {
    throw Error(
        ErrorCode::kubernetes,
        fmt::format("The *@kubernetes* decorator (step *{}*) requires --datastore=s3: what a pod leaves must be "
                    "where others find it",
                    requests_.begin()->first),
        "Set METAFLOW_DEFAULT_DATASTORE=s3 and METAFLOW_DATASTORE_SYSROOT_S3=s3://bucket/prefix.");
  }
  access_ = kube::find_access(net::own_variables(), context.settings.get("KUBERNETES_CONTEXT", ""));
  for (auto& [step, request] : requests_) {
    if (request.name_space.empty()) request.name_space = access_->name_space.empty() ? "default" : access_->name_space;
  }
  flow_in_image_ = context.settings.get("KUBERNETES_FLOW_IN_IMAGE", "");
  if (!flow_in_image_.empty()) return;
  std::vector<std::string> libraries = base::split(context.settings.get("PACKAGE_LIBRARIES", ""), ' ');
  std::erase(libraries, "");
  plan_ = compute::plan_own_package(libraries);
}

std::vector<std::string> Remote::steps() const {
  std::vector<std::string> names;
  for (const auto& [step, request] : requests_) names.push_back(step);
  return names;
}

std::vector<std::pair<std::string, std::string>> Remote::environment() const {
  std::vector<std::pair<std::string, std::string>> variables{
      {"METAFLOW_USER", context_.user()},
      {"METAFLOW_FLOW_FILENAME", context_.file_name()},
      {"METAFLOW_KUBERNETES_WORKLOAD", "1"},
      {"METAFLOW_RUNTIME_ENVIRONMENT", "kubernetes"},
      {"METAFLOW_DEFAULT_DATASTORE", context_.top.datastore},
      {"METAFLOW_DATASTORE_SYSROOT_S3", context_.datastore_root()},
  };
  for (const char* name : kPassedOn) {
    if (const auto value = context_.settings.get(name)) variables.emplace_back(std::string("METAFLOW_") + name, *value);
  }
  const net::AwsConfig config(net::own_variables());
  if (const auto region = config.region()) {
    variables.emplace_back("AWS_REGION", *region);
    variables.emplace_back("AWS_DEFAULT_REGION", *region);
  }
  return variables;
}

Remote::Backend Remote::make(base::EventLoop& loop, compute::BackendEvents& events, const std::string& run,
                             std::uint64_t max_log_size) {
  store::FlowStore& store = context_.store();
  Backend made;
  kube::KubernetesOptions options;
  options.run = run;
  options.user = context_.user();
  options.requests = requests_;
  options.environment = environment();
  options.flow_in_image = flow_in_image_;
  const std::string fetcher = context_.settings.get("KUBERNETES_FETCH_IMAGE", kFetcherImage);
  options.fetcher_image = fetcher == "none" ? "" : fetcher;
  options.max_log_size = max_log_size;
  options.job_seconds = seconds_of(context_.settings, "KUBERNETES_JOB_TTL_SECONDS_AFTER_FINISHED", options.job_seconds);
  options.patience = seconds_of(context_.settings, "KUBERNETES_PATIENCE", options.patience / 1'000'000) * 1'000'000;
  if (plan_) {
    options.package = compute::store_package(store, *plan_);
    options.architecture = compute::image_architecture(plan_->machine);
  }
  std::vector<std::string> namespaces;
  for (const auto& [step, request] : requests_) {
    if (std::find(namespaces.begin(), namespaces.end(), request.name_space) == namespaces.end())
      namespaces.push_back(request.name_space);
  }
  note_namespaces(context_, run, namespaces);
  std::string text;
  for (const std::string& line : graph::to_text(graph_)) text += line + "\n";
  const std::string code = compute::make_code_archive(context_.file_name() + ".txt", text, context_.user());
  const std::span<const std::byte> bytes = base::as_bytes(code);
  const std::string key = store.save_value(store::Pieces(&bytes, 1));
  made.code_package = compute::code_package_field(
      store.storage().type(), key, store.storage().root() + "/" + store::blob_path(store.blob_directory(), key));
  auto open = [type = context_.top.datastore, root = store.storage().root(), flow = store.flow()] {
    return std::make_unique<store::FlowStore>(store::open_storage(type, root), flow);
  };
  made.backend = std::make_unique<kube::KubernetesBackend>(loop, context_.clock, events, store, std::move(open),
                                                           *access_, std::move(options));
  return made;
}

}  // namespace metaflow::cli
