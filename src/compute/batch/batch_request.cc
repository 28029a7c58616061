#include "compute/batch/batch_request.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include <metaflow/error.h>

#include "base/ascii.h"
#include "base/format.h"
#include "base/text.h"
#include "compute/batch/client/job.h"

namespace metaflow::awsbatch {

namespace {

using compute::given_or;
using compute::PlatformSettings;
using compute::Positive;

// The copy of Docker Hub's own images at AWS, which does not limit pulls from within AWS.
constexpr const char* kImages = "public.ecr.aws/docker/library/";
constexpr const char* kDefaultImage = "buildpack-deps:bookworm-curl";  // small, and can fetch the package
constexpr double kMinMemory = 4;                                       // MiB, of Batch
constexpr std::size_t kMaxKeyLength = 128;
constexpr std::size_t kMaxValueLength = 256;
constexpr std::size_t kMaxTags = 50;
constexpr int kMaxSwappiness = 100;
constexpr int kMinStorage = 21;  // GiB, of Fargate
constexpr int kMaxStorage = 200;
constexpr std::array<std::string_view, 8> kLogDrivers{"json-file", "syslog",  "journald", "gelf",
                                                      "fluentd",   "awslogs", "splunk",   "awsfirelens"};

[[noreturn]] void refuse_job(std::string message, std::string hint = {}) {
  throw Error::of_platform(kTitle, std::move(message), std::move(hint));
}

/// Returns the larger of the two; if only one is given, that one.
template <class Number>
std::optional<Number> larger(std::optional<Number> one, std::optional<Number> other) {
  if (one && other) return std::max(*one, *other);
  return one ? one : other;
}

int whole(const std::string& step, const char* attribute, std::optional<int> value, int least, int most) {
  if (!value) return 0;
  if (*value < least || *value > most) {
    const std::string range =
        most == INT32_MAX ? fmt::format("at least {}", least) : fmt::format("{} to {}", least, most);
    refuse_job(fmt::format("Invalid {} value: *{}* for step *{}* (it should be an integer, {})", attribute, *value,
                           step, range));
  }
  return *value;
}

std::optional<int> checked(const std::string& step, const char* attribute, std::optional<int> value, int least,
                           int most = INT32_MAX) {
  whole(step, attribute, value, least, most);
  return value;
}

/// Parses "source:mount", or "source" alone.
Volume volume(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) return {text, {}};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

std::vector<Volume> host_volumes(const std::string& step, const std::vector<std::string>& given) {
  std::vector<Volume> volumes;
  for (const std::string& text : given) {
    Volume& made = volumes.emplace_back(volume(text));
    if (made.mount.empty()) made.mount = made.source;
    Positive{step, kTitle}.check_path("host_volumes", made.source);
    Positive{step, kTitle}.check_path("host_volumes", made.mount);
  }
  return volumes;
}

std::vector<Volume> efs_volumes(const std::string& step, const std::vector<std::string>& given) {
  std::vector<Volume> volumes;
  for (const std::string& text : given) {
    Volume& made = volumes.emplace_back(volume(text));
    if (made.source.empty())
      refuse_job(fmt::format("efs_volumes of step *{}* has '{}', which does not name a file system", step, text),
                 "Name a file system and a directory: fs-0123456789abcdef0:/data");
    if (made.mount.empty()) made.mount = "/mnt/" + made.source;
    Positive{step, kTitle}.check_path("efs_volumes", made.mount);
  }
  return volumes;
}

bool is_tag_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    // AWS allows letters and digits of any script: the server checks what is not ASCII.
    return base::is_alphanumeric(c) || static_cast<signed char>(c) < 0 ||
           std::string_view(" +-=._:/@").find(c) != std::string_view::npos;
  });
}

void check_tags(const std::string& step, const std::map<std::string, std::string>& tags) {
  if (tags.size() > kMaxTags)
    refuse_job(fmt::format("Step *{}* has {} tags; AWS Batch allows {}", step, tags.size(), kMaxTags));
  for (const auto& [key, value] : tags) {
    if (base::lower(key).starts_with("aws:"))
      refuse_job(fmt::format("'{}' cannot be the key of a tag of step *{}*: AWS reserves the prefix aws:", key, step));
    if (key.empty() || key.size() > kMaxKeyLength || !is_tag_text(key))
      refuse_job(fmt::format("'{}' cannot be the key of a tag of step *{}*", key, step),
                 "A key has 1 to 128 letters, digits, spaces and + - = . _ : / @");
    if (value.size() > kMaxValueLength || !is_tag_text(value))
      refuse_job(fmt::format("'{}' cannot be the value of the tag {} of step *{}*", value, key, step),
                 "A value has at most 256 letters, digits, spaces and + - = . _ : / @");
  }
}

std::map<std::string, std::string> log_options(const std::string& step, const std::vector<std::string>& given) {
  std::map<std::string, std::string> options;
  for (const std::string& text : given) {
    const std::size_t colon = text.find(':');
    if (colon == 0 || colon == std::string::npos)
      refuse_job(fmt::format("log_options of step *{}* has '{}', which is not key:value", step, text));
    options[text.substr(0, colon)] = text.substr(colon + 1);
  }
  return options;
}

int neuron_devices(const std::string& step, const metaflow::batch& asked) {
  if (asked.inferentia && asked.trainium)
    refuse_job(fmt::format("Step *{}* asks for both inferentia and trainium", step),
               "They are synonyms: only use one of them.");
  const bool inferentia = asked.inferentia.has_value();
  return whole(step, inferentia ? "inferentia" : "trainium", inferentia ? asked.inferentia : asked.trainium, 1,
               INT32_MAX);
}

}  // namespace

std::optional<BatchRequest> batch_request(const std::string& step, const std::vector<graph::Decorator>& decorators,
                                          const base::Settings& all_settings, const std::string& image) {
  const auto asked = graph::find_decorator<metaflow::batch>(decorators);
  if (!asked) return std::nullopt;
  const PlatformSettings settings(all_settings, "BATCH", kTitle);
  const PlatformSettings ecs(all_settings, "ECS", kTitle);
  const Positive positive{step, kTitle};

  BatchRequest job;
  std::optional<double> cpu = asked->cpu;
  std::optional<double> memory = asked->memory;
  std::optional<int> gpu = asked->gpu;
  job.shared_memory = asked->shared_memory;
  if (const auto more = graph::find_decorator<resources>(decorators)) {
    cpu = larger(cpu, std::optional(more->cpu));
    memory = larger(memory, std::optional(more->memory));
    gpu = larger(gpu, more->gpu);
    job.shared_memory = larger(job.shared_memory, more->shared_memory);
  }
  job.cpu = positive("cpu", cpu.value_or(job.cpu));
  job.memory = positive("memory", memory.value_or(job.memory));
  if (job.memory < kMinMemory)
    refuse_job(fmt::format("Invalid memory value *{}* for step *{}*; AWS Batch requires at least {} MiB", job.memory,
                           step, kMinMemory));
  job.gpu = whole(step, "gpu", gpu, 0, INT32_MAX);
  checked(step, "shared_memory", job.shared_memory, 1);
  job.max_swap = checked(step, "max_swap", asked->max_swap, 0);
  job.swappiness = checked(step, "swappiness", asked->swappiness, 0, kMaxSwappiness);
  if (job.swappiness && !job.max_swap) refuse_job(fmt::format("swappiness of step *{}* requires max_swap", step));
  job.neuron_devices = neuron_devices(step, *asked);
  job.efa = whole(step, "efa", asked->efa, 1, INT32_MAX);

  const std::string otherwise = std::string(kImages) + (image.empty() ? kDefaultImage : image);
  job.image = settings.image(asked->image, otherwise.c_str());
  job.queue = given_or(asked->queue, settings.text("JOB_QUEUE"));
  job.iam_role = given_or(asked->iam_role, ecs.text("S3_ACCESS_IAM_ROLE"));
  job.execution_role = given_or(asked->execution_role, ecs.text("FARGATE_EXECUTION_ROLE"));
  if (job.iam_role.empty())
    refuse_job(fmt::format("No IAM role found for step *{}*: its tasks cannot access S3", step),
               "Set METAFLOW_ECS_S3_ACCESS_IAM_ROLE, or iam_role, to the ARN of a role that may read and write the "
               "datastore.");
  job.host_volumes = host_volumes(step, asked->host_volumes);
  job.efs_volumes = efs_volumes(step, asked->efs_volumes);
  job.tmpfs = compute::tmpfs_of(*asked, job.memory, positive);
  job.ephemeral_storage = checked(step, "ephemeral_storage", asked->ephemeral_storage, kMinStorage, kMaxStorage);
  job.tags = asked->aws_batch_tags;
  job.describing_tags = settings.boolean("EMIT_TAGS");
  if (job.describing_tags) job.tags.merge(settings.dict("DEFAULT_TAGS"));
  check_tags(step, job.tags);
  job.log_driver = asked->log_driver;
  if (!job.log_driver.empty() && std::find(kLogDrivers.begin(), kLogDrivers.end(), job.log_driver) == kLogDrivers.end())
    refuse_job(fmt::format("Invalid log_driver value: *{}* for step *{}*", job.log_driver, step),
               fmt::format("Choose one of: {}", base::join(kLogDrivers, ", ")));
  job.log_options = log_options(step, asked->log_options);
  job.privileged = asked->privileged;
  job.time_limit = compute::job_seconds(decorators, positive);
  return job;
}

}  // namespace metaflow::awsbatch
