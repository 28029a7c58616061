#include "compute/batch/job_request.h"

#include <algorithm>
#include <cmath>

#include "base/ascii.h"
#include "base/format.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/percent.h"
#include "compute/package/bootstrap.h"

namespace metaflow::awsbatch {

namespace {

constexpr std::size_t kMaxPartLength =
    32;                              // of flow, run, step and task in a job's name, which may have 128 characters
constexpr std::size_t kDigest = 40;  // hexadecimal digits of a definition's content in its name
constexpr std::size_t kMaxTagLength = 256;
constexpr const char* kScriptVariable = "MF_BOOTSTRAP";
// Placeholders that every job overrides. Fargate accepts this pair.
constexpr const char* kAnyCpu = "1";
constexpr const char* kAnyMemory = "4096";

/// Replaces everything but letters, digits, - and _.
std::string name_part(std::string_view text) {
  std::string part;
  for (const char c : text.substr(0, kMaxPartLength)) {
    const bool fits = base::is_alphanumeric(c) || c == '_';
    part += fits ? c : '-';
  }
  return part;
}

/// Makes a text a valid value of a tag.
std::string tag_value(std::string_view text) {
  std::string value;
  for (const char c : text.substr(0, kMaxTagLength)) {
    if (base::is_alphanumeric(c) || std::string_view(" +-=._:/@").find(c) != std::string_view::npos) value += c;
  }
  return value;
}

Json requirement(const char* type, std::string value) { return {{"type", type}, {"value", std::move(value)}}; }

Json device(const std::string& path, bool whole) {
  Json made{{"hostPath", path}, {"containerPath", path}};
  made.set("permissions", whole ? Json::list({"READ", "WRITE", "MKNOD"}) : Json::list({"READ", "WRITE"}));
  return made;
}

Json linux_parameters(const BatchRequest& request) {
  Json parameters = Json::object();
  Json devices = Json::list();
  for (int i = 0; i < request.neuron_devices; ++i) devices.push_back(device(fmt::format("/dev/neuron{}", i), false));
  for (int i = 0; i < request.efa; ++i) devices.push_back(device(fmt::format("/dev/infiniband/uverbs{}", i), true));
  if (!devices.empty()) parameters.set("devices", devices);
  if (request.shared_memory) parameters.set("sharedMemorySize", *request.shared_memory);
  if (request.max_swap) parameters.set("maxSwap", *request.max_swap);
  if (request.swappiness) parameters.set("swappiness", *request.swappiness);
  if (request.tmpfs.size)
    parameters.set("tmpfs", Json::list({{{"containerPath", request.tmpfs.path}, {"size", *request.tmpfs.size}}}));
  return parameters;
}

void add_volumes(const BatchRequest& request, Json& container) {
  Json volumes = Json::list();
  Json mounts = Json::list();
  const auto add = [&](const char* kind, const Volume& volume, Json source) {
    const std::string name = fmt::format("{}{}", kind, volumes.size());
    source.set("name", name);
    volumes.push_back(std::move(source));
    mounts.push_back({{"sourceVolume", name}, {"containerPath", volume.mount}, {"readOnly", false}});
  };
  for (const Volume& volume : request.host_volumes) add("host", volume, {{"host", {{"sourcePath", volume.source}}}});
  for (const Volume& volume : request.efs_volumes)
    add("efs", volume,
        {{"efsVolumeConfiguration", {{"fileSystemId", volume.source}, {"transitEncryption", "ENABLED"}}}});
  if (volumes.empty()) return;
  container.set("volumes", volumes);
  container.set("mountPoints", mounts);
}

void add_log(const BatchRequest& request, Json& container) {
  if (request.log_driver.empty() && request.log_options.empty()) return;
  Json log{{"logDriver", request.log_driver.empty() ? "awslogs" : request.log_driver}};
  if (!request.log_options.empty()) log.set("options", request.log_options);
  container.set("logConfiguration", log);
}

}  // namespace

std::string job_prefix(std::string_view run_key) { return fmt::format("mf-{}-", run_key); }

std::string job_name(const compute::JobIdentity& identity, std::string_view store, int tries) {
  const std::string prefix = job_prefix(compute::run_key(identity.flow, identity.run, store));
  const std::string key = compute::attempt_key(identity, store, tries);
  // For the user: step and task, as far as there is room.
  return fmt::format("{}{}-{}-{}-{}", prefix, name_part(identity.flow), name_part(identity.step), identity.attempt,
                     key);
}

Json job_definition(const BatchRequest& request, Machines machines, std::string_view machine) {
  Json container{{"image", request.image}, {"jobRoleArn", request.iam_role}};
  if (!request.execution_role.empty()) container.set("executionRoleArn", request.execution_role);
  container.set("command", Json::list({"true"}));
  container.set("resourceRequirements", Json::list({requirement("VCPU", kAnyCpu), requirement("MEMORY", kAnyMemory)}));
  container.set("environment", Json::list({{{"name", kScriptVariable}, {"value", compute::bootstrap_script()}}}));
  if (Json parameters = linux_parameters(request); !parameters.empty()) container.set("linuxParameters", parameters);
  add_volumes(request, container);
  add_log(request, container);
  if (request.privileged) container.set("privileged", true);
  Json definition{{"jobDefinitionName", ""}, {"type", "container"}};
  if (is_fargate(machines)) {
    container.set("networkConfiguration", {{"assignPublicIp", "ENABLED"}});
    if (request.ephemeral_storage) container.set("ephemeralStorage", {{"sizeInGiB", *request.ephemeral_storage}});
    if (machine == "aarch64")
      container.set("runtimePlatform", {{"operatingSystemFamily", "LINUX"}, {"cpuArchitecture", "ARM64"}});
    definition.set("platformCapabilities", Json::list({"FARGATE"}));
  }
  definition.set("containerProperties", container);
  definition.set("propagateTags", true);
  definition.set("jobDefinitionName", "metaflow-cpp-" + base::sha256_hex(definition.dump()).substr(0, kDigest));
  return definition;
}

std::vector<std::string> job_command(const std::string& flow_in_image, const std::vector<std::string>& arguments) {
  std::vector<std::string> command{flow_in_image};
  // The script is removed from the environment before the flow starts.
  if (flow_in_image.empty())
    command = {"sh", "-c", fmt::format("s=${0}; unset {0}; eval \"$s\"", kScriptVariable), "metaflow"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

bool percent_encode_placeholders(std::vector<std::string>& words) {
  const auto has_placeholder = [](const std::string& word) { return word.find("Ref::") != std::string::npos; };
  if (std::none_of(words.begin(), words.end(), has_placeholder)) return false;
  for (std::string& word : words) word = base::percent_encode(word, true);
  return true;
}

Json job_submission(const compute::JobIdentity& identity, const std::string& name, const BatchRequest& request,
                    const std::string& queue, const std::string& definition, const std::vector<std::string>& command,
                    compute::Variables environment, std::size_t size) {
  for (auto& variable : compute::processor_variables(request.cpu, environment))
    environment.push_back(std::move(variable));
  if (request.tmpfs.size && request.tmpfs.is_tempdir) environment.emplace_back("METAFLOW_TEMPDIR", request.tmpfs.path);
  Json::List variables;
  for (const auto& [variable, value] : environment) {
    // Of two variables with one name, the last one wins.
    std::erase_if(variables, [&](const Json& earlier) { return earlier["name"] == variable; });
    variables.push_back({{"name", variable}, {"value", value}});
  }
  Json resources = Json::list({requirement("VCPU", fmt::format("{}", request.cpu)),
                               requirement("MEMORY", fmt::format("{}", std::llround(request.memory)))});
  if (request.gpu > 0) resources.push_back(requirement("GPU", std::to_string(request.gpu)));
  Json parameters{{kFlowParameter, identity.flow},
                  {kRunParameter, identity.run},
                  {kStepParameter, identity.step},
                  {kTaskParameter, identity.task},
                  {kAttemptParameter, std::to_string(identity.attempt)},
                  {kUserParameter, identity.user}};
  Json tags(request.tags);
  if (request.describing_tags) {
    tags.set("app", "metaflow");
    for (const char* key : {kFlowParameter, kRunParameter, kStepParameter, kUserParameter})
      tags.set(key, tag_value(parameters[key].text()));
  }
  Json job{
      {"jobName", name},
      {"jobQueue", queue},
      {"jobDefinition", definition},
      {"timeout", {{"attemptDurationSeconds", request.time_limit}}},
      {"containerOverrides", {{"command", command}, {"environment", variables}, {"resourceRequirements", resources}}},
      {"parameters", parameters}};
  if (size > 1) job.set("arrayProperties", {{"size", size}});
  if (!tags.empty()) {
    job.set("tags", tags);
    job.set("propagateTags", true);
  }
  return job;
}

}  // namespace metaflow::awsbatch
