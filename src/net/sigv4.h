// AWS's Signature Version 4: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/http.h"

namespace metaflow::net {

/// Keys for signatures. Never printed.
struct AwsKeys {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  // empty: none
};

/// The scope of a signature.
struct SigningScope {
  std::string region;   // "us-east-1"
  std::string service;  // "s3", "logs", "sts", ...
  std::int64_t time;    // seconds since 1970
};

using Query = std::vector<std::pair<std::string, std::string>>;  // decoded; a name without '=' has an empty value

/// The value of x-amz-content-sha256 for a body that is not hashed.
inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";

/// A request to be signed, decoded.
struct AwsRequest {
  std::string method = "GET";
  std::string endpoint{};        // "https://bucket.s3.us-east-1.amazonaws.com", optionally with a port; no path
  std::string path = "/";        // decoded; for S3 taken literally
  Query query{};                 // in any order
  Headers headers{};             // without Host; all of them are signed
  std::string payload_sha256{};  // hexadecimal, or kUnsignedPayload; empty: no body
};

/// The signed request.
struct SignedRequest {
  std::string url;
  Headers headers;
};

/// Signs with an Authorization header. Adds x-amz-date, the session token, and for S3 x-amz-content-sha256.
SignedRequest sign(const AwsRequest& request, const AwsKeys& keys, const SigningScope& scope);

/// Signs with the query: returns a URL that works for everyone for `seconds` (at most 604800, and at most as long as
/// the session). The URL is a secret.
std::string presign(const AwsRequest& request, const AwsKeys& keys, const SigningScope& scope, std::int64_t seconds);

/// The encoded query of the pairs: "a=1&b=".
std::string encode_query(const Query& query);

}  // namespace metaflow::net
