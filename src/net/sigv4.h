// AWS's Signature Version 4: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
#pragma once

#include <nettle/sha2.h>

#include <cstdint>
#include <span>
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

/// A digest of bytes that come one after the other.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  /// Once, after all of them: hexadecimal.
  std::string hex();

 private:
  sha256_ctx context_;
};
std::string sha256_hex(std::span<const std::byte> bytes);
std::string sha256_hex(std::string_view text);

/// RFC 3986: all but letters, digits and -._~ as %XX. `keep_slashes`: for paths.
std::string percent_encode(std::string_view text, bool keep_slashes = false);
std::string percent_decode(std::string_view text);

/// "a=1&b=" of the pairs, encoded.
std::string encode_query(const Query& query);

/// "20130524T000000Z"
std::string amz_time(std::int64_t seconds);

}  // namespace metaflow::net
