#include "compute/remote/container_platform.h"

#include <utility>

#include "compute/remote/platform_settings.h"
#include "net/plain_http.h"
#include "store/s3/s3_options.h"

namespace metaflow::compute {

namespace {

/// Settings that locate S3.
constexpr const char* kPassedOn[] = {"S3_ENDPOINT_URL", "S3_SERVER_SIDE_ENCRYPTION", "S3_VERIFY_CERTIFICATE",
                                     "ALLOW_PLAIN_HTTP"};

}  // namespace

Variables container_variables(const RunSite& site, const store::FlowStore& store, const std::string& runtime) {
  Variables variables{
      {"METAFLOW_USER", site.user},
      {"METAFLOW_FLOW_FILENAME", site.file_name()},
      {"METAFLOW_RUNTIME_ENVIRONMENT", runtime},
      {"METAFLOW_DEFAULT_DATASTORE", site.datastore},
      {"METAFLOW_DATASTORE_SYSROOT_S3", store.storage().root()},
  };
  for (const char* name : kPassedOn) {
    if (const auto value = site.settings.get(name)) variables.emplace_back(std::string("METAFLOW_") + name, *value);
  }
  // Not the container's default: the run's store may be another one than that of the settings.
  if (std::string root = store::data_root(site.settings); !root.empty())
    variables.emplace_back("METAFLOW_DATATOOLS_S3ROOT", std::move(root));
  const net::AwsConfig config(net::variables_of(site.settings));
  if (const auto region = config.region()) {
    variables.emplace_back("AWS_REGION", *region);
    variables.emplace_back("AWS_DEFAULT_REGION", *region);
  }
  return variables;
}

Needs needs_of_containers(const std::string& flow_in_image) {
  using Program = Needs::Program;
  return {.program = flow_in_image.empty() ? Program::by_link : Program::here, .shared_store = true};
}

RemoteOptions remote_options(const base::Settings& settings, const std::string& prefix, RemoteOptions defaults) {
  RemoteOptions options = std::move(defaults);
  options.uncounted_retries = static_cast<int>(
      number_of(settings, prefix + "_UNCOUNTED_RETRIES", options.uncounted_retries, "a number of retries"));
  options.patience =
      number_of(settings, prefix + "_PATIENCE", options.patience / 1'000'000, "a number of seconds") * 1'000'000;
  return options;
}

}  // namespace metaflow::compute
