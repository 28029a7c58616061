#include "store/s3/s3_options.h"

#include <algorithm>

#include <metaflow/error.h>

#include "base/ascii.h"
#include "base/format.h"
#include "base/text.h"
#include "net/plain_http.h"

namespace metaflow::store {

namespace {

/// Accepts also names of old buckets and of compatible servers. The name becomes a part of a host name.
bool is_bucket(std::string_view name) {
  return !name.empty() && name[0] != '.' && name[0] != '-' && std::all_of(name.begin(), name.end(), [](char c) {
    return base::is_alphanumeric(c) || c == '.' || c == '-' || c == '_';
  });
}

/// To S3, keys are texts, but servers and proxies on the way treat them as paths.
bool is_prefix(std::string_view prefix) {
  const auto parts = base::split(prefix, '/');
  return std::none_of(parts.begin(), parts.end(),
                      [](const std::string& part) { return part == "." || part == ".."; }) &&
         std::none_of(prefix.begin(), prefix.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
}

}  // namespace

S3Options s3_options(const base::Settings& settings, const net::AwsConfig& config) {
  S3Options options;
  options.endpoint = settings.get("S3_ENDPOINT_URL", config.endpoint("s3").value_or(""));
  while (options.endpoint.ends_with('/')) options.endpoint.pop_back();
  if (!options.endpoint.empty() && !options.endpoint.starts_with("http://") &&
      !options.endpoint.starts_with("https://")) {
    throw Error(ErrorCode::invalid_command, fmt::format("The S3 endpoint '{}' is not a URL", options.endpoint),
                "Set METAFLOW_S3_ENDPOINT_URL to one that begins with https:// or http://.");
  }
  if (!options.endpoint.empty())
    net::check_keys_are_encrypted(options.endpoint, "The S3 endpoint", net::variables_of(settings));
  options.region = config.region().value_or("");
  options.encryption = settings.get("S3_SERVER_SIDE_ENCRYPTION", "");
  if (const auto retries = settings.whole_number("S3_RETRY_COUNT", 0, 1000)) options.retry.tries = *retries + 1;
  if (const auto workers = settings.whole_number("S3_WORKER_COUNT", 1, 1000))
    options.transfers = options.background_transfers = *workers;
  net::Tls tls;
  tls.ca_file = config.ca_bundle();
  // A path, or whether to verify the certificate at all.
  const std::string verify = settings.get("S3_VERIFY_CERTIFICATE", "");
  const std::string word = base::lower(verify);
  if (word == "false" || word == "0" || word == "no") {
    tls.verify = false;
  } else if (!verify.empty() && word != "true" && word != "1" && word != "yes") {
    tls.ca_file = verify;
  }
  options.tls = std::make_shared<const net::Tls>(std::move(tls));
  return options;
}

std::string data_root(const base::Settings& settings) {
  if (const auto root = settings.get("DATATOOLS_S3ROOT")) return *root;
  std::string root = settings.get("DATASTORE_SYSROOT_S3", "");
  if (root.empty()) return {};
  if (!root.ends_with('/')) root += '/';
  return root + settings.get("DATATOOLS_SUFFIX", "data");
}

S3Location parse_s3_url(const std::string& url) {
  S3Location location;
  if (url.starts_with("s3://")) {
    const std::string rest = url.substr(5);
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    location.bucket = rest.substr(0, slash);
    location.prefix = rest.substr(slash);
  }
  while (location.prefix.ends_with('/')) location.prefix.pop_back();
  location.prefix.erase(0, std::min(location.prefix.find_first_not_of('/'), location.prefix.size()));
  if (!is_bucket(location.bucket) || !is_prefix(location.prefix)) {
    throw Error(ErrorCode::invalid_command, fmt::format("'{}' is not an S3 URL", base::visible(url)),
                "Use the form s3://bucket/prefix");
  }
  return location;
}

}  // namespace metaflow::store
