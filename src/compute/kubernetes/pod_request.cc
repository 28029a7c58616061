#include "compute/kubernetes/pod_request.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <metaflow/error.h>

#include "base/ascii.h"
#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "compute/kubernetes/client/objects.h"

namespace metaflow::kube {

namespace {

using base::Json;
using compute::given_or;
using compute::PlatformSettings;
using compute::Positive;

constexpr const char* kDefaultPodImage = "debian:bookworm-slim";

constexpr std::size_t kMaxLabelLength = 63;

[[noreturn]] void refuse(std::string message, std::string hint = {}) {
  throw Error::of_platform(kTitle, std::move(message), std::move(hint));
}

std::int64_t parse_integer(const std::string& step, const std::string& attribute, const std::string& text) {
  std::int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || number < 0)
    refuse(fmt::format("Invalid {} value: *{}* for step *{}* (it should be an integer)", attribute, text, step));
  return number;
}

bool parse_boolean(const std::string& step, const std::string& attribute, const std::string& text) {
  const std::string lower = base::lower(text);
  if (lower == "true" || lower == "1") return true;
  if (lower == "false" || lower == "0") return false;
  refuse(fmt::format("Invalid {} value: *{}* for step *{}* (it should be true or false)", attribute, text, step));
}

bool is_label_value(const std::string& value) {
  if (value.empty()) return true;
  return value.size() <= kMaxLabelLength && base::is_alphanumeric(value.front()) &&
         base::is_alphanumeric(value.back()) && std::all_of(value.begin(), value.end(), [](char c) {
           return base::is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
         });
}

void check_labels(const std::string& step, const std::map<std::string, std::string>& labels) {
  for (const auto& [key, value] : labels) {
    if (is_label_value(value)) continue;
    refuse(fmt::format("Invalid value: \"{}\" of the label {} of step *{}*", value, key, step),
           "A label consists of letters, digits, '-', '_' and '.', starts and ends with a letter or digit, and has at "
           "most 63 characters.");
  }
}

Toleration toleration(const std::string& step, const std::map<std::string, std::string>& given) {
  Toleration made;
  std::vector<std::string> unknown;
  for (const auto& [key, value] : given) {
    if (key == "key") {
      made.key = value;
    } else if (key == "operator") {
      made.op = value;
    } else if (key == "value") {
      made.value = value;
    } else if (key == "effect") {
      made.effect = value;
    } else if (key == "toleration_seconds") {
      made.seconds = parse_integer(step, "toleration_seconds", value);
    } else {
      unknown.push_back(key);
    }
  }
  if (!unknown.empty()) {
    refuse(
        fmt::format("Tolerations parameter contains invalid keys: [{}] (step *{}*)", base::join(unknown, ", "), step),
        "Valid keys: key, operator, value, effect, toleration_seconds.");
  }
  return made;
}

SecurityContext security_context(const std::string& step, const std::map<std::string, std::string>& given) {
  SecurityContext made;
  for (const auto& [key, value] : given) {
    if (key == "privileged") {
      made.privileged = parse_boolean(step, key, value);
    } else if (key == "allow_privilege_escalation") {
      made.allow_privilege_escalation = parse_boolean(step, key, value);
    } else if (key == "run_as_user") {
      made.run_as_user = parse_integer(step, key, value);
    } else if (key == "run_as_group") {
      made.run_as_group = parse_integer(step, key, value);
    } else if (key == "run_as_non_root") {
      made.run_as_non_root = parse_boolean(step, key, value);
    } else {
      refuse(fmt::format("security_context of step *{}* has the unknown key {}", step, key),
             "Valid keys: privileged, allow_privilege_escalation, run_as_user, run_as_group, run_as_non_root.");
    }
  }
  return made;
}

bool is_guaranteed(const std::string& step, const std::string& qos) {
  const std::string lower = base::lower(qos);
  if (lower == "guaranteed") return true;
  if (lower == "burstable") return false;
  refuse(fmt::format("*{}* (step *{}*) is not a valid Kubernetes QoS class", qos, step),
         "Choose one of: Guaranteed, Burstable");
}

}  // namespace

std::optional<PodRequest> pod_request(const std::string& step, const std::vector<graph::Decorator>& decorators,
                                      const base::Settings& all_settings, const std::string& image) {
  const auto asked = graph::find_decorator<metaflow::kubernetes>(decorators);
  if (!asked) return std::nullopt;
  const PlatformSettings settings(all_settings, "KUBERNETES", kTitle);
  const Positive positive{step, kTitle};
  const PodRequest defaults;

  PodRequest pod;
  pod.cpu = asked->cpu ? *asked->cpu : settings.number("CPU").value_or(defaults.cpu);
  pod.memory = asked->memory ? *asked->memory : settings.number("MEMORY").value_or(defaults.memory);
  pod.disk = asked->disk ? *asked->disk : settings.number("DISK").value_or(defaults.disk);
  pod.gpu = asked->gpu;
  pod.shared_memory = asked->shared_memory;
  if (const auto more = graph::find_decorator<resources>(decorators)) {
    pod.cpu = std::max(pod.cpu, more->cpu);
    pod.memory = std::max(pod.memory, more->memory);
    if (more->disk) pod.disk = std::max(pod.disk, *more->disk);
    if (more->gpu) pod.gpu = more->gpu;
    if (more->shared_memory) pod.shared_memory = more->shared_memory;
  }
  positive("cpu", pod.cpu);
  positive("memory", pod.memory);
  positive("disk", pod.disk);
  if (pod.gpu && *pod.gpu < 0)
    refuse(fmt::format("Invalid GPU value *{}* for step *{}*; it should be an integer", *pod.gpu, step));
  pod.gpu_vendor = base::lower(given_or(asked->gpu_vendor, settings.text("GPU_VENDOR", defaults.gpu_vendor)));
  if (pod.gpu_vendor != "nvidia" && pod.gpu_vendor != "amd")
    refuse(fmt::format("GPU vendor *{}* for step *{}* is not currently supported.", pod.gpu_vendor, step),
           "Choose one of: nvidia, amd");
  if (!pod.shared_memory) {
    if (const auto set = settings.number("SHARED_MEMORY")) pod.shared_memory = static_cast<int>(*set);
  }
  if (pod.shared_memory) positive("shared_memory", *pod.shared_memory);
  pod.port = asked->port;
  if (!pod.port) {
    if (const auto set = settings.number("PORT")) pod.port = static_cast<int>(*set);
  }
  if (pod.port) positive("port", *pod.port);

  pod.image = settings.image(asked->image, image.empty() ? kDefaultPodImage : image.c_str());
  pod.image_pull_policy = given_or(asked->image_pull_policy, settings.text("IMAGE_PULL_POLICY"));
  pod.image_pull_secrets = given_or(asked->image_pull_secrets, settings.list("IMAGE_PULL_SECRETS"));
  pod.name_space = given_or(asked->namespace_, settings.text("NAMESPACE"));
  pod.service_account = given_or(asked->service_account, settings.text("SERVICE_ACCOUNT"));
  pod.secrets = asked->secrets;
  for (std::string& secret : settings.list("SECRETS")) {
    if (std::find(pod.secrets.begin(), pod.secrets.end(), secret) == pod.secrets.end())
      pod.secrets.push_back(std::move(secret));
  }
  pod.node_selector = given_or(asked->node_selector, settings.dict("NODE_SELECTOR"));
  if (!asked->compute_pool.empty()) pod.node_selector["outerbounds.co/compute-pool"] = asked->compute_pool;
  for (const auto& given : given_or(asked->tolerations, settings.objects("TOLERATIONS")))
    pod.tolerations.push_back(toleration(step, given));
  pod.labels = asked->labels;
  pod.labels.merge(settings.dict("LABELS"));
  check_labels(step, pod.labels);
  pod.annotations = asked->annotations;
  pod.annotations.merge(settings.dict("ANNOTATIONS"));
  pod.tmpfs = compute::tmpfs_of(*asked, pod.memory, positive);
  pod.persistent_volume_claims = given_or(asked->persistent_volume_claims, settings.dict("PERSISTENT_VOLUME_CLAIMS"));
  pod.guaranteed = is_guaranteed(step, given_or(asked->qos, settings.text("QOS", "burstable")));
  pod.extended_resources = asked->extended_resources;
  pod.security_context = security_context(step, asked->security_context);

  pod.time_limit = compute::job_seconds(decorators, positive);
  return pod;
}

}  // namespace metaflow::kube
