#include "net/sigv4.h"

#include <algorithm>

#include "base/format.h"
#include "base/hash.h"
#include "base/iso_time.h"
#include "base/percent.h"
#include "base/text.h"

namespace metaflow::net {

namespace {

std::string scope_text(const SigningScope& scope) {
  return fmt::format("{}/{}/{}/aws4_request", base::basic_iso_time(scope.time).substr(0, 8), scope.region,
                     scope.service);
}

/// Trims the value and collapses runs of blanks.
std::string canonical_value(std::string_view value) {
  std::string canonical;
  for (const char c : base::trim(value)) {
    if (c != ' ' || canonical.back() != ' ') canonical += c;
  }
  return canonical;
}

std::string canonical_path(const AwsRequest& request, const SigningScope& scope) {
  const std::string path = base::percent_encode(request.path.empty() ? "/" : request.path, true);
  // S3 signs the path as sent, other services sign it encoded once more.
  return scope.service == "s3" ? path : base::percent_encode(path, true);
}

struct CanonicalHeaders {
  std::string lines;
  std::string names;
};

CanonicalHeaders canonical_headers(const AwsRequest& request) {
  std::vector<Header> headers;
  for (const auto& [name, value] : request.headers) headers.emplace_back(base::lower(name), canonical_value(value));
  std::string_view host = request.endpoint;
  host.remove_prefix(host.find("://") + 3);
  headers.emplace_back("host", host.substr(0, host.find('/')));
  std::sort(headers.begin(), headers.end());
  CanonicalHeaders canonical;
  for (const auto& [name, value] : headers) {
    canonical.lines += fmt::format("{}:{}\n", name, value);
    canonical.names += (canonical.names.empty() ? "" : ";") + name;
  }
  return canonical;
}

std::string signature(const AwsRequest& request, const std::string& query, const CanonicalHeaders& headers,
                      const AwsKeys& keys, const SigningScope& scope) {
  const std::string canonical = fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, canonical_path(request, scope),
                                            query, headers.lines, headers.names, request.payload_sha256);
  const std::string to_sign = fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", base::basic_iso_time(scope.time),
                                          scope_text(scope), base::sha256_hex(canonical));
  base::Sha256Digest key =
      base::hmac_sha256(base::as_bytes("AWS4" + keys.secret_key), base::basic_iso_time(scope.time).substr(0, 8));
  for (const std::string_view part :
       {std::string_view(scope.region), std::string_view(scope.service), std::string_view("aws4_request")})
    key = base::hmac_sha256(key, part);
  return base::hex(base::hmac_sha256(key, to_sign));
}

std::string url_of(const AwsRequest& request, const std::string& query) {
  return request.endpoint + base::percent_encode(request.path.empty() ? "/" : request.path, true) +
         (query.empty() ? "" : "?" + query);
}

}  // namespace

std::string encode_query(const Query& query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& [name, value] : query) pairs.emplace_back(base::percent_encode(name), base::percent_encode(value));
  // Sorted after encoding, so that the query sent is the query signed.
  std::sort(pairs.begin(), pairs.end());
  std::string text;
  for (const auto& [name, value] : pairs) text += fmt::format("{}{}={}", text.empty() ? "" : "&", name, value);
  return text;
}

SignedRequest sign(const AwsRequest& request, const AwsKeys& keys, const SigningScope& scope) {
  AwsRequest full = request;
  if (full.payload_sha256.empty()) full.payload_sha256 = base::sha256_hex("");
  if (scope.service == "s3") full.headers.emplace_back("x-amz-content-sha256", full.payload_sha256);
  full.headers.emplace_back("x-amz-date", base::basic_iso_time(scope.time));
  if (!keys.session_token.empty()) full.headers.emplace_back("x-amz-security-token", keys.session_token);
  const std::string query = encode_query(full.query);
  const CanonicalHeaders canonical = canonical_headers(full);
  std::string authorization =
      fmt::format("AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}", keys.access_key,
                  scope_text(scope), canonical.names, signature(full, query, canonical, keys, scope));
  full.headers.emplace_back("Authorization", std::move(authorization));
  return {url_of(full, query), std::move(full.headers)};
}

std::string presign(const AwsRequest& request, const AwsKeys& keys, const SigningScope& scope, std::int64_t seconds) {
  AwsRequest full = request;
  if (full.payload_sha256.empty())
    full.payload_sha256 = scope.service == "s3" ? std::string(kUnsignedPayload) : base::sha256_hex("");
  const CanonicalHeaders canonical = canonical_headers(full);
  full.query.emplace_back("X-Amz-Algorithm", "AWS4-HMAC-SHA256");
  full.query.emplace_back("X-Amz-Credential", keys.access_key + "/" + scope_text(scope));
  full.query.emplace_back("X-Amz-Date", base::basic_iso_time(scope.time));
  full.query.emplace_back("X-Amz-Expires", std::to_string(seconds));
  full.query.emplace_back("X-Amz-SignedHeaders", canonical.names);
  if (!keys.session_token.empty()) full.query.emplace_back("X-Amz-Security-Token", keys.session_token);
  const std::string query = encode_query(full.query);
  return url_of(full, query) + "&X-Amz-Signature=" + signature(full, query, canonical, keys, scope);
}

}  // namespace metaflow::net
