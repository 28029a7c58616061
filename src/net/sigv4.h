// AWS's Signature Version 4: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/http.h"

namespace metaflow::net {

/// What signs. Never printed.
struct AwsKeys {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  // empty: none
};

/// For what a signature is good.
struct SigningScope {
  std::string region;   // "us-east-1"
  std::string service;  // "s3", "logs", "sts", ...
  std::int64_t time;    // seconds since 1970
};

using Query = std::vector<std::pair<std::string, std::string>>;  // decoded; without '=' in a URL: an empty value

/// The value of x-amz-content-sha256 for a body that is not hashed.
inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";

/// A request, decoded, as it is to be signed.
struct AwsRequest {
  std::string method = "GET";
  std::string endpoint{};        // "https://bucket.s3.us-east-1.amazonaws.com", maybe with a port; no path
  std::string path = "/";        // decoded; for S3 taken literally
  Query query{};                 // in any order
  Headers headers{};             // without Host; all of them are signed
  std::string payload_sha256{};  // hexadecimal, or kUnsignedPayload; empty: that of no body
};

/// What to send.
struct SignedRequest {
  std::string url;
  Headers headers;
};

/// Signs by an Authorization header. Adds x-amz-date, the session token, and for S3 x-amz-content-sha256.
SignedRequest sign(const AwsRequest& request, const AwsKeys& keys, const SigningScope& scope);

/// Signs by the query: a URL that anybody can use for `seconds` (at most 604800, and no longer than the session lives).
/// It is a secret.
std::string presign(const AwsRequest& request, const AwsKeys& keys, const SigningScope& scope, std::int64_t seconds);

/// "a=1&b=" of the pairs, encoded.
std::string encode_query(const Query& query);

}  // namespace metaflow::net
