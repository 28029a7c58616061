// Digests of bytes, computed by Nettle.
#pragma once

#include <nettle/sha2.h>

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace metaflow::base {

using Sha256Digest = std::array<std::byte, 32>;

/// An incremental digest.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  /// The digest of all bytes. Call once.
  Sha256Digest digest();

 private:
  sha256_ctx context_;
};

Sha256Digest sha256(std::string_view text);
std::string sha256_hex(std::string_view text);  // lowercase

/// HMAC (RFC 2104) with SHA-256.
Sha256Digest hmac_sha256(std::span<const std::byte> key, std::string_view text);

/// For names of files and content, not for security.
using Sha1Digest = std::array<std::byte, 20>;
/// The digest of the concatenated pieces.
Sha1Digest sha1(std::span<const std::span<const std::byte>> pieces);
std::string sha1_hex(std::string_view text);  // lowercase

}  // namespace metaflow::base
