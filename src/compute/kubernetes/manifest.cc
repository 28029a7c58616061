#include "compute/kubernetes/manifest.h"

#include <algorithm>
#include <cmath>

#include <metaflow/error.h>

#include "base/ascii.h"
#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "compute/package/bootstrap.h"

namespace metaflow::kube {

namespace {

constexpr std::size_t kMaxPartLength = 12;  // of flow and step in a job's name, to which pods add
constexpr double kMinStorage = 256;         // MB of the fetcher
constexpr double kFetcherCpu = 0.1;
constexpr double kFetcherMemory = 64;  // MB
constexpr int kGraceSeconds = 30;      // to stop the step and to upload its logs

/// Makes a text a valid part of a DNS label (RFC 1123).
std::string dns_part(std::string_view text) {
  std::string part;
  for (char c : base::lower(text)) part += base::is_lower(c) || base::is_digit(c) ? c : '-';
  part = part.substr(0, kMaxPartLength);
  while (part.starts_with('-')) part.erase(0, 1);
  while (part.ends_with('-')) part.pop_back();
  return part.empty() ? "flow" : part;
}

/// Formats a Kubernetes quantity: 4, 0.5, 60000.
std::string quantity(double number, std::string_view unit = {}) { return fmt::format("{}{}", number, unit); }

/// Escapes a text for a container. In commands and values of variables, Kubernetes replaces $$ by $ and $(NAME) by the
/// variable of this name (perhaps a secret), and damages a character behind a $ that is not ASCII.
std::string literal(std::string_view text) {
  std::string escaped;
  for (const char c : text) escaped.append(c == '$' ? 2 : 1, c);
  return escaped;
}

Json command_of(const std::vector<std::string>& words) {
  Json json = Json::list();
  for (const std::string& word : words) json.push_back(literal(word));
  return json;
}

void add_variable(Json& json, const std::string& name, std::string_view value) {
  json.push_back({{"name", name}, {"value", literal(value)}});
}

Json variables(const Variables& list) {
  Json json = Json::list();
  for (const auto& [name, value] : list) add_variable(json, name, value);
  return json;
}

Json from_field(const char* name, const char* path) {
  return {{"name", name}, {"valueFrom", {{"fieldRef", {{"fieldPath", path}}}}}};
}

Json from_secret(const std::string& secret) { return {{"secretRef", {{"name", secret}}}}; }

Json resources_of(const PodRequest& request) {
  const Json basic{{"cpu", quantity(request.cpu)},
                   {"memory", quantity(request.memory, "M")},
                   {"ephemeral-storage", quantity(request.disk, "M")}};
  Json requests = basic;
  Json limits = request.guaranteed ? basic : Json::object();
  for (const auto& [name, amount] : request.extended_resources) {
    requests.set(name, amount);
    limits.set(name, amount);
  }
  if (request.gpu.value_or(0) > 0) limits.set(request.gpu_vendor + ".com/gpu", std::to_string(*request.gpu));
  Json json{{"requests", requests}};
  if (!limits.empty()) json.set("limits", limits);
  return json;
}

Json security_of(const SecurityContext& context) {
  Json json = Json::object();
  if (context.privileged) json.set("privileged", *context.privileged);
  if (context.allow_privilege_escalation) json.set("allowPrivilegeEscalation", *context.allow_privilege_escalation);
  if (context.run_as_user) json.set("runAsUser", *context.run_as_user);
  if (context.run_as_group) json.set("runAsGroup", *context.run_as_group);
  if (context.run_as_non_root) json.set("runAsNonRoot", *context.run_as_non_root);
  // With these two, the other requirements of the PodSecurity level "restricted" take nothing away.
  if (context.run_as_non_root.value_or(false) && !context.allow_privilege_escalation.value_or(true)) {
    json.set("capabilities", {{"drop", Json::list({"ALL"})}});
    json.set("seccompProfile", {{"type", "RuntimeDefault"}});
  }
  return json;
}

Json tolerations_of(const std::vector<Toleration>& list) {
  Json json = Json::list();
  for (const Toleration& toleration : list) {
    Json one = Json::object();
    if (!toleration.key.empty()) one.set("key", toleration.key);
    if (!toleration.op.empty()) one.set("operator", toleration.op);
    if (!toleration.value.empty()) one.set("value", toleration.value);
    if (!toleration.effect.empty()) one.set("effect", toleration.effect);
    if (toleration.seconds) one.set("tolerationSeconds", *toleration.seconds);
    json.push_back(std::move(one));
  }
  return json;
}

/// Volumes of the pod, and where its containers see them.
struct Volumes {
  Json volumes = Json::list();
  Json mounts = Json::list();

  void add(const std::string& name, Json source, const std::string& path) {
    source.set("name", name);
    volumes.push_back(std::move(source));
    mounts.push_back({{"name", name}, {"mountPath", path}});
  }
};

Json memory_volume(std::int64_t mebibytes) {
  return {{"emptyDir", {{"medium", "Memory"}, {"sizeLimit", fmt::format("{}Mi", mebibytes)}}}};
}

Volumes volumes_of(const PodRequest& request) {
  Volumes made;
  if (request.tmpfs.size) made.add("tmpfs-ephemeral-volume", memory_volume(*request.tmpfs.size), request.tmpfs.path);
  if (request.shared_memory) made.add("dhsm", memory_volume(*request.shared_memory), "/dev/shm");
  for (const auto& [claim, path] : request.persistent_volume_claims)
    made.add(claim, {{"persistentVolumeClaim", {{"claimName", claim}}}}, path);
  return made;
}

Json labels_of(const std::map<std::string, std::string>& own, const std::string& run_key) {
  Json labels(own);
  labels.set("app.kubernetes.io/name", "metaflow-task");
  labels.set("app.kubernetes.io/part-of", "metaflow");
  labels.set(kRunLabel, run_key);
  return labels;
}

Json annotations_of(const JobIdentity& identity, const std::map<std::string, std::string>& own) {
  Json annotations(own);
  annotations.set("metaflow/flow_name", identity.flow);
  annotations.set("metaflow/run_id", identity.run);
  annotations.set("metaflow/step_name", identity.step);
  annotations.set("metaflow/task_id", identity.task);
  annotations.set("metaflow/attempt", std::to_string(identity.attempt));
  annotations.set("metaflow/user", identity.user);
  return annotations;
}

Json container_of(const PodRequest& request, const Delivery& delivery, const Variables& environment, Json mounts) {
  Json env = variables(delivery.environment);
  for (const auto& [name, value] : environment) add_variable(env, name, value);
  if (request.tmpfs.size && request.tmpfs.is_tempdir) add_variable(env, "METAFLOW_TEMPDIR", request.tmpfs.path);
  for (const auto& [name, value] : compute::processor_variables(request.cpu, environment))
    add_variable(env, name, value);
  env.push_back(from_field("METAFLOW_KUBERNETES_NAMESPACE", "metadata.namespace"));
  env.push_back(from_field("METAFLOW_KUBERNETES_POD_NAMESPACE", "metadata.namespace"));
  env.push_back(from_field("METAFLOW_KUBERNETES_POD_NAME", "metadata.name"));
  env.push_back(from_field("METAFLOW_KUBERNETES_POD_ID", "metadata.uid"));
  env.push_back(from_field("METAFLOW_KUBERNETES_SERVICE_ACCOUNT_NAME", "spec.serviceAccountName"));
  env.push_back(from_field("METAFLOW_KUBERNETES_NODE_IP", "status.hostIP"));
  Json env_from = Json::list();
  if (!delivery.fetcher_image && !delivery.secret.empty()) env_from.push_back(from_secret(delivery.secret));
  for (const std::string& secret : request.secrets) env_from.push_back(from_secret(secret));

  Json container{{"name", kContainer},
                 {"image", request.image},
                 {"command", command_of(delivery.command)},
                 {"env", env},
                 {"resources", resources_of(request)},
                 {"terminationMessagePolicy", "FallbackToLogsOnError"}};
  if (!env_from.empty()) container.set("envFrom", env_from);
  if (!request.image_pull_policy.empty()) container.set("imagePullPolicy", request.image_pull_policy);
  if (request.port) container.set("ports", Json::list({{{"containerPort", *request.port}}}));
  if (Json security = security_of(request.security_context); !security.empty())
    container.set("securityContext", security);
  if (!mounts.empty()) container.set("volumeMounts", std::move(mounts));
  return container;
}

Json fetcher_of(const PodRequest& request, const Delivery& delivery) {
  // The fetcher has the archive and its content on disk. The cache of its writes counts as memory, but can be reclaimed
  // unless the directory is in memory itself: so there is no limit where the pod has none.
  const double megabytes = static_cast<double>(delivery.package_size) / 1e6;
  const std::string storage = quantity(std::ceil(std::max(kMinStorage, 2 * megabytes)), "M");
  // While a pod exists, the largest request of its containers is reserved: so not more than for the task.
  const Json small{{"cpu", quantity(std::min(kFetcherCpu, request.cpu))},
                   {"memory", quantity(std::min(kFetcherMemory, request.memory), "M")},
                   {"ephemeral-storage", storage}};
  Json resources{{"requests", small}};
  if (request.guaranteed) {
    const Json enough{
        {"cpu", "100m"}, {"memory", quantity(std::ceil(128 + 2 * megabytes), "M")}, {"ephemeral-storage", storage}};
    resources = {{"requests", enough}, {"limits", enough}};
  }
  Json container{{"name", kFetcher},
                 {"image", *delivery.fetcher_image},
                 {"command", command_of(delivery.fetcher_command)},
                 {"env", variables(delivery.fetcher_environment)},
                 {"resources", resources},
                 {"terminationMessagePolicy", "FallbackToLogsOnError"},
                 {"volumeMounts", Json::list({{{"name", kFetcher}, {"mountPath", kPackagePath}}})}};
  if (!delivery.secret.empty()) container.set("envFrom", Json::list({from_secret(delivery.secret)}));
  if (Json security = security_of(request.security_context); !security.empty())
    container.set("securityContext", security);
  return container;
}

}  // namespace

std::string secret_name(const std::string& run_key) { return "mf-" + run_key; }

std::string job_name(const JobIdentity& identity, std::string_view store, int tries) {
  return fmt::format("mf-{}-{}-{}", dns_part(identity.flow), dns_part(identity.step),
                     compute::attempt_key(identity, store, tries));
}

Delivery delivery_of(const DeliveryOptions& options, const std::string& secret,
                     const std::vector<std::string>& arguments) {
  Delivery delivery;
  delivery.architecture = options.architecture;
  delivery.secret = secret;
  auto run = [&](std::vector<std::string> command) {
    command.insert(command.end(), arguments.begin(), arguments.end());
    delivery.command = std::move(command);
  };
  if (!options.flow_in_image.empty()) {
    run({options.flow_in_image});
  } else if (options.fetcher_image.empty()) {
    delivery.command = compute::bootstrap_command(arguments);
    delivery.environment = compute::bootstrap_variables(options.package);
  } else {
    run(compute::start_command(kPackagePath, options.package.is_static));
    delivery.fetcher_image = options.fetcher_image;
    delivery.package_size = options.package.unpacked;
    delivery.fetcher_command = {"sh", "-c", compute::install_script()};
    delivery.fetcher_environment = compute::bootstrap_variables(options.package);
    delivery.fetcher_environment.emplace_back("MF_DIR", kPackagePath);
  }
  return delivery;
}

Json job_manifest(const JobIdentity& identity, const std::string& name, const std::string& run_key,
                  const PodRequest& request, const Delivery& delivery, const Variables& environment,
                  std::int64_t kept_seconds) {
  const Json labels = labels_of(request.labels, run_key);
  const Json annotations = annotations_of(identity, request.annotations);
  Volumes volumes = volumes_of(request);
  Json init = Json::list();
  if (delivery.fetcher_image) {
    volumes.add(kFetcher, {{"emptyDir", Json::object()}}, kPackagePath);
    init.push_back(fetcher_of(request, delivery));
  }
  Json pod{{"restartPolicy", "Never"},
           {"terminationGracePeriodSeconds", kGraceSeconds},
           {"activeDeadlineSeconds", request.time_limit},
           {"containers", Json::list({container_of(request, delivery, environment, std::move(volumes.mounts))})}};
  if (!init.empty()) pod.set("initContainers", init);
  if (!volumes.volumes.empty()) pod.set("volumes", volumes.volumes);
  if (!request.service_account.empty()) pod.set("serviceAccountName", request.service_account);
  Json selector = Json::object();
  if (!delivery.architecture.empty()) selector.set("kubernetes.io/arch", delivery.architecture);
  for (const auto& [key, value] : request.node_selector) selector.set(key, value);
  if (!selector.empty()) pod.set("nodeSelector", selector);
  if (!request.tolerations.empty()) pod.set("tolerations", tolerations_of(request.tolerations));
  if (!request.image_pull_secrets.empty()) {
    Json names = Json::list();
    for (const std::string& secret : request.image_pull_secrets) names.push_back({{"name", secret}});
    pod.set("imagePullSecrets", names);
  }
  return {{"apiVersion", "batch/v1"},
          {"kind", "Job"},
          {"metadata",
           {{"name", name}, {"namespace", request.name_space}, {"labels", labels}, {"annotations", annotations}}},
          {"spec",
           {{"backoffLimit", 0},
            {"completions", 1},
            {"parallelism", 1},
            {"ttlSecondsAfterFinished", kept_seconds},
            {"template", {{"metadata", {{"labels", labels}, {"annotations", annotations}}}, {"spec", pod}}}}}};
}

Json secret_manifest(const std::string& name, const std::string& run_key,
                     const std::map<std::string, std::string>& texts) {
  return {{"apiVersion", "v1"},
          {"kind", "Secret"},
          {"type", "Opaque"},
          {"metadata", {{"name", name}, {"labels", labels_of({}, run_key)}}},
          {"stringData", texts}};
}

}  // namespace metaflow::kube
