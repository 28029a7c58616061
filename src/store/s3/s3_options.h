// The configuration of S3, and S3 URLs.
#pragma once

#include <memory>
#include <string>

#include "base/settings.h"
#include "net/aws_config.h"
#include "net/http.h"
#include "net/retry.h"

namespace metaflow::store {

/// The configuration of an S3 client.
struct S3Options {
  std::string endpoint{};  // "http://host:9000" for a compatible server; empty: AWS
  std::string region{};    // empty: the region of the bucket, which the client finds out
  std::shared_ptr<const net::Tls> tls{};
  std::string encryption{};       // "AES256", "aws:kms": requested for new objects
  int transfers = 16;             // the maximum in flight; the others wait
  int background_transfers = 32;  // of a scheduler: small objects
  net::RetryOptions retry{};
};

/// From METAFLOW_S3_ENDPOINT_URL, METAFLOW_S3_RETRY_COUNT, METAFLOW_S3_SERVER_SIDE_ENCRYPTION,
/// METAFLOW_S3_VERIFY_CERTIFICATE, METAFLOW_S3_WORKER_COUNT, and AWS's variables and files.
S3Options s3_options(const base::Settings& settings, const net::AwsConfig& config);

/// Where flows keep objects besides their artifacts: METAFLOW_DATATOOLS_S3ROOT, or METAFLOW_DATASTORE_SYSROOT_S3/data.
/// Empty: none is set.
std::string data_root(const base::Settings& settings);

struct S3Location {
  std::string bucket;
  std::string prefix;  // without slashes at its ends; may be empty
};

/// Parses "s3://bucket/prefix". Throws Error{invalid_command} for anything else.
S3Location parse_s3_url(const std::string& url);

}  // namespace metaflow::store
