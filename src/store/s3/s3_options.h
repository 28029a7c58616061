// How S3 is reached, and what names a place in it.
#pragma once

#include <memory>
#include <string>

#include "base/settings.h"
#include "net/aws_config.h"
#include "net/http.h"
#include "net/retry.h"

namespace metaflow::store {

/// How S3 is reached.
struct S3Options {
  std::string endpoint{};  // "http://host:9000" of a compatible server; empty: AWS's
  std::string region{};    // empty: the bucket's, found out
  std::shared_ptr<const net::Tls> tls{};
  std::string encryption{};  // "AES256", "aws:kms": asked for when writing
  int transfers = 16;        // in flight
  net::RetryOptions retry{};
};

/// From METAFLOW_S3_ENDPOINT_URL, METAFLOW_S3_SERVER_SIDE_ENCRYPTION, METAFLOW_S3_VERIFY_CERTIFICATE, and AWS's
/// variables and files.
S3Options s3_options(const base::Settings& settings, const net::AwsConfig& config);

struct S3Location {
  std::string bucket;
  std::string prefix;  // without slashes at its ends; may be empty
};

/// "s3://bucket/prefix". Throws Error{invalid_command} if it is none.
S3Location parse_s3_url(const std::string& url);

}  // namespace metaflow::store
