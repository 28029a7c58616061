#include "net/sigv4.h"

#include <nettle/hmac.h>
#include <nettle/sha2.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "base/format.h"
#include "base/text.h"

namespace metaflow::net {

namespace {

using Digest = std::array<std::byte, SHA256_DIGEST_SIZE>;

const std::uint8_t* data_of(std::span<const std::byte> bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes.data());
}

Digest hmac(std::span<const std::byte> key, std::string_view text) {
  hmac_sha256_ctx context;
  hmac_sha256_set_key(&context, key.size(), data_of(key));
  hmac_sha256_update(&context, text.size(), data_of(base::as_bytes(text)));
  Digest digest;
  hmac_sha256_digest(&context, digest.size(), reinterpret_cast<std::uint8_t*>(digest.data()));
  return digest;
}

std::string scope_text(const SigningScope& scope) {
  return fmt::format("{}/{}/{}/aws4_request", amz_time(scope.time).substr(0, 8), scope.region, scope.service);
}

/// Without the blanks around it, and with one in the place of several.
std::string canonical_value(std::string_view value) {
  std::string canonical;
  for (const char c : base::trim(value)) {
    if (c != ' ' || canonical.back() != ' ') canonical += c;
  }
  return canonical;
}

std::string canonical_path(const AwsRequest& request, const SigningScope& scope) {
  const std::string path = percent_encode(request.path.empty() ? "/" : request.path, true);
  // S3 signs what is sent, the others that encoded once more.
  return scope.service == "s3" ? path : percent_encode(path, true);
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
  const std::string to_sign =
      fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", amz_time(scope.time), scope_text(scope), sha256_hex(canonical));
  Digest key = hmac(base::as_bytes("AWS4" + keys.secret_key), amz_time(scope.time).substr(0, 8));
  for (const std::string_view part :
       {std::string_view(scope.region), std::string_view(scope.service), std::string_view("aws4_request")})
    key = hmac(key, part);
  return base::hex(hmac(key, to_sign));
}

std::string url_of(const AwsRequest& request, const std::string& query) {
  return request.endpoint + percent_encode(request.path.empty() ? "/" : request.path, true) +
         (query.empty() ? "" : "?" + query);
}

}  // namespace

Sha256::Sha256() { sha256_init(&context_); }
void Sha256::update(std::span<const std::byte> bytes) { sha256_update(&context_, bytes.size(), data_of(bytes)); }
std::string Sha256::hex() {
  Digest digest;
  sha256_digest(&context_, digest.size(), reinterpret_cast<std::uint8_t*>(digest.data()));
  return base::hex(digest);
}

std::string sha256_hex(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

std::string sha256_hex(std::string_view text) { return sha256_hex(base::as_bytes(text)); }

std::string percent_encode(std::string_view text, bool keep_slashes) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~' || (keep_slashes && c == '/');
    if (plain) {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded += {'%', kDigits[byte >> 4U], kDigits[byte & 15U]};
    }
  }
  return encoded;
}

std::string percent_decode(std::string_view text) {
  auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
      decoded += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

std::string encode_query(const Query& query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& [name, value] : query) pairs.emplace_back(percent_encode(name), percent_encode(value));
  // Sorted when encoded: the string that is sent is the one that is signed.
  std::sort(pairs.begin(), pairs.end());
  std::string text;
  for (const auto& [name, value] : pairs) text += fmt::format("{}{}={}", text.empty() ? "" : "&", name, value);
  return text;
}

std::string amz_time(std::int64_t seconds) {
  const std::time_t time = seconds;
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
                     utc.tm_min, utc.tm_sec);
}

SignedRequest sign(const AwsRequest& request, const AwsKeys& keys, const SigningScope& scope) {
  AwsRequest full = request;
  if (full.payload_sha256.empty()) full.payload_sha256 = sha256_hex(std::string_view());
  if (scope.service == "s3") full.headers.emplace_back("x-amz-content-sha256", full.payload_sha256);
  full.headers.emplace_back("x-amz-date", amz_time(scope.time));
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
    full.payload_sha256 = scope.service == "s3" ? std::string(kUnsignedPayload) : sha256_hex(std::string_view());
  const CanonicalHeaders canonical = canonical_headers(full);
  full.query.emplace_back("X-Amz-Algorithm", "AWS4-HMAC-SHA256");
  full.query.emplace_back("X-Amz-Credential", keys.access_key + "/" + scope_text(scope));
  full.query.emplace_back("X-Amz-Date", amz_time(scope.time));
  full.query.emplace_back("X-Amz-Expires", std::to_string(seconds));
  full.query.emplace_back("X-Amz-SignedHeaders", canonical.names);
  if (!keys.session_token.empty()) full.query.emplace_back("X-Amz-Security-Token", keys.session_token);
  const std::string query = encode_query(full.query);
  return url_of(full, query) + "&X-Amz-Signature=" + signature(full, query, canonical, keys, scope);
}

}  // namespace metaflow::net
