#include "cli/remote.h"

#include <algorithm>
#include <charconv>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "compute/kubernetes/kubernetes_jobs.h"
#include "compute/kubernetes/run_jobs.h"
#include "compute/package/elf.h"
#include "compute/remote/delivery.h"
#include "compute/remote/remote_attempts.h"
#include "net/aws_config.h"
#include "net/plain_http.h"
#include "runtime/batch_request.h"
#include "runtime/platform_settings.h"
#include "runtime/pod_request.h"
#include "store/open.h"

namespace metaflow::cli {

namespace {

constexpr const char* kFetcherImage = "curlimages/curl:8.10.1";

/// Settings that tell a program where S3 is; what is secret is not among them.
constexpr const char* kPassedOn[] = {"S3_ENDPOINT_URL", "S3_SERVER_SIDE_ENCRYPTION", "S3_VERIFY_CERTIFICATE",
                                     "ALLOW_PLAIN_HTTP", "DATATOOLS_S3ROOT"};

std::int64_t number_of(const base::Settings& settings, const std::string& name, std::int64_t otherwise,
                       const char* what) {
  const auto text = settings.get(name);
  if (!text) return otherwise;
  std::int64_t number = 0;
  const auto parsed = std::from_chars(text->data(), text->data() + text->size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text->data() + text->size() || number < 0 || number > INT32_MAX)
    throw Error(ErrorCode::invalid_command, fmt::format("METAFLOW_{} is '{}', and has to be {}", name, *text, what));
  return number;
}

std::int64_t seconds_of(const base::Settings& settings, const std::string& name, std::int64_t otherwise) {
  return number_of(settings, name, otherwise, "a number of seconds");
}

int retries_of(const base::Settings& settings, const std::string& name, int otherwise) {
  return static_cast<int>(number_of(settings, name, otherwise, "a number of retries"));
}

[[noreturn]] void refuse_local_store(const char* title, const char* platform, const std::string& step,
                                     const char* what) {
  throw Error::of_platform(
      title,
      fmt::format("The *@{}* decorator (step *{}*) requires --datastore=s3: what a {} leaves must be where "
                  "others find it",
                  platform, step, what),
      "Set METAFLOW_DEFAULT_DATASTORE=s3 and METAFLOW_DATASTORE_SYSROOT_S3=s3://bucket/prefix.");
}

}  // namespace

Remote::Remote(Context& context, const graph::Graph& graph) : context_(context), graph_(graph) {
  std::map<std::string, awsbatch::BatchRequest> jobs;
  for (const graph::Step& step : graph.steps()) {
    runtime::check_platforms(step.name, step.decorators);
    if (auto pod = runtime::pod_request(step.name, step.decorators, context.settings))
      requests_.emplace(step.name, std::move(*pod));
    if (auto job = runtime::batch_request(step.name, step.decorators, context.settings))
      jobs.emplace(step.name, std::move(*job));
  }
  if (requests_.empty() && jobs.empty()) return;
  if (context.top.datastore == "local") {
    if (jobs.empty()) refuse_local_store("Kubernetes", "kubernetes", requests_.begin()->first, "pod");
    refuse_local_store("AWS Batch", "batch", jobs.begin()->first, "job");
  }
  if (!requests_.empty()) {
    access_ = kube::find_access(net::variables_of(context.settings), context.settings.get("KUBERNETES_CONTEXT", ""));
    for (auto& [step, request] : requests_) {
      if (request.name_space.empty())
        request.name_space = access_->name_space.empty() ? "default" : access_->name_space;
    }
  }
  if (!jobs.empty()) {
    session_ = std::make_unique<net::AwsSession>(context.clock, net::AwsConfig(net::variables_of(context.settings)));
    jobs_ = place_jobs(context, *session_, jobs);
  }
  for (const std::string& name : namespaces()) {
    base::EventLoop loop(context.clock);
    kube::ApiOptions options{.name_space = name};
    options.transport.limits.retry.tries = 1;
    kube::KubernetesApi api(loop, context.clock, *access_, std::move(options));
    kube::check_access(api, loop);
  }
  flow_in_image_ = context.settings.get("KUBERNETES_FLOW_IN_IMAGE", "");
  flow_in_job_image_ = context.settings.get("BATCH_FLOW_IN_IMAGE", "");
  if (!needs_package()) return;
  std::vector<std::string> libraries = base::split(context.settings.get("PACKAGE_LIBRARIES", ""), ' ');
  std::erase(libraries, "");
  plan_ = compute::plan_own_package(libraries);
}

bool Remote::needs_package() const {
  return (!requests_.empty() && flow_in_image_.empty()) || (!jobs_.empty() && flow_in_job_image_.empty());
}

std::vector<std::string> Remote::steps() const {
  std::vector<std::string> names;
  for (const auto& [step, request] : requests_) names.push_back(step);
  for (const auto& [step, job] : jobs_) names.push_back(step);
  return names;
}

std::vector<std::string> Remote::namespaces() const {
  std::vector<std::string> names;
  for (const auto& [step, request] : requests_) {
    if (std::find(names.begin(), names.end(), request.name_space) == names.end()) names.push_back(request.name_space);
  }
  return names;
}

compute::Variables Remote::environment(const char* platform) const {
  compute::Variables variables{
      {"METAFLOW_USER", context_.user()},
      {"METAFLOW_FLOW_FILENAME", context_.file_name()},
      {"METAFLOW_RUNTIME_ENVIRONMENT", platform},
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

Remote::Backends Remote::make(base::EventLoop& loop, compute::BackendEvents& events, const std::string& run,
                              std::uint64_t max_log_size) {
  Backends made;
  if (plan_) package_ = compute::store_package(context_.store(), *plan_);
  if (!requests_.empty()) {
    std::vector<std::string> steps;
    for (const auto& [step, request] : requests_) steps.push_back(step);
    made.backends.emplace_back(make_kubernetes(loop, events, run, max_log_size), std::move(steps));
  }
  if (!jobs_.empty()) {
    std::vector<std::string> steps;
    for (const auto& [step, job] : jobs_) steps.push_back(step);
    made.backends.emplace_back(make_batch(loop, events, run, max_log_size), std::move(steps));
  }
  made.code_package = store_code();
  return made;
}

std::unique_ptr<compute::Backend> Remote::make_kubernetes(base::EventLoop& loop, compute::BackendEvents& events,
                                                          const std::string& run, std::uint64_t max_log_size) {
  kube::KubernetesOptions options;
  options.run = run;
  options.user = context_.user();
  options.requests = requests_;
  options.environment = environment("kubernetes");
  options.environment.emplace_back("METAFLOW_KUBERNETES_WORKLOAD", "1");
  options.delivery.flow_in_image = flow_in_image_;
  const std::string fetcher = context_.settings.get("KUBERNETES_FETCH_IMAGE", kFetcherImage);
  options.delivery.fetcher_image = fetcher == "none" ? "" : fetcher;
  options.max_log_size = max_log_size;
  options.job_seconds = seconds_of(context_.settings, "KUBERNETES_JOB_TTL_SECONDS_AFTER_FINISHED", options.job_seconds);
  compute::RemoteOptions remote{.unit = "pod"};
  remote.uncounted_retries = retries_of(context_.settings, "KUBERNETES_UNCOUNTED_RETRIES", 0);
  remote.patience = seconds_of(context_.settings, "KUBERNETES_PATIENCE", remote.patience / 1'000'000) * 1'000'000;
  if (flow_in_image_.empty()) {
    options.delivery.package = package_;
    options.delivery.architecture = compute::image_architecture(plan_->machine);
  }
  note_namespaces(context_, run, namespaces());
  return std::make_unique<compute::RemoteAttempts>(
      loop, context_.clock, events, open_store(), std::move(remote), [&](compute::JobEvents& jobs) {
        return std::make_unique<kube::KubernetesJobs>(loop, context_.clock, jobs, context_.store(), *access_,
                                                      std::move(options));
      });
}

std::unique_ptr<compute::Backend> Remote::make_batch(base::EventLoop& loop, compute::BackendEvents& events,
                                                     const std::string& run, std::uint64_t max_log_size) {
  awsbatch::BatchOptions options;
  options.jobs.run = run;
  options.jobs.user = context_.user();
  options.requests = jobs_;
  options.jobs.environment = environment("aws-batch");
  options.jobs.flow_in_image = flow_in_job_image_;
  options.jobs.max_log_size = max_log_size;
  compute::RemoteOptions remote;
  remote.uncounted_retries = retries_of(context_.settings, "BATCH_UNCOUNTED_RETRIES", 3);
  remote.patience = seconds_of(context_.settings, "BATCH_PATIENCE", remote.patience / 1'000'000) * 1'000'000;
  if (flow_in_job_image_.empty()) {
    options.jobs.package = package_;
    options.jobs.machine = compute::uname_machine(plan_->machine);
  }
  note_queues(context_, run, jobs_);
  return std::make_unique<compute::RemoteAttempts>(
      loop, context_.clock, events, open_store(), std::move(remote), [&](compute::JobEvents& jobs) {
        return std::make_unique<awsbatch::BatchJobs>(loop, context_.clock, jobs, context_.store(), *session_,
                                                     std::move(options));
      });
}

compute::ResultReader::Open Remote::open_store() {
  store::FlowStore& store = context_.store();
  return [type = context_.top.datastore, root = store.storage().root(), flow = store.flow()] {
    return std::make_unique<store::FlowStore>(store::open_storage(type, root), flow);
  };
}

/// For the clients: the graph in words.
std::string Remote::store_code() {
  store::FlowStore& store = context_.store();
  std::string text;
  for (const std::string& line : graph::to_text(graph_)) text += line + "\n";
  const std::string code = compute::make_code_archive(context_.file_name() + ".txt", text, context_.user());
  const std::span<const std::byte> bytes = base::as_bytes(code);
  const std::string key = store.save_value(store::Pieces(&bytes, 1));
  return compute::code_package_field(store.storage().type(), key,
                                     store.storage().root() + "/" + store::blob_path(store.blob_directory(), key));
}

}  // namespace metaflow::cli
