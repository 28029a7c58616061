#include "base/hash.h"

#include <nettle/hmac.h>
#include <nettle/sha1.h>

#include <cstdint>

#include "base/text.h"

namespace metaflow::base {

namespace {

const std::uint8_t* octets(std::span<const std::byte> bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes.data());
}

std::uint8_t* octets(std::span<std::byte> bytes) { return reinterpret_cast<std::uint8_t*>(bytes.data()); }

}  // namespace

Sha256::Sha256() { sha256_init(&context_); }
void Sha256::update(std::span<const std::byte> bytes) { sha256_update(&context_, bytes.size(), octets(bytes)); }
Sha256Digest Sha256::digest() {
  Sha256Digest digest;
  sha256_digest(&context_, digest.size(), octets(std::span<std::byte>(digest)));
  return digest;
}

Sha256Digest sha256(std::string_view text) {
  Sha256 hash;
  hash.update(as_bytes(text));
  return hash.digest();
}

std::string sha256_hex(std::string_view text) { return hex(sha256(text)); }

Sha256Digest hmac_sha256(std::span<const std::byte> key, std::string_view text) {
  hmac_sha256_ctx context;
  hmac_sha256_set_key(&context, key.size(), octets(key));
  hmac_sha256_update(&context, text.size(), octets(as_bytes(text)));
  Sha256Digest digest;
  hmac_sha256_digest(&context, digest.size(), octets(std::span<std::byte>(digest)));
  return digest;
}

Sha1Digest sha1(std::span<const std::span<const std::byte>> pieces) {
  sha1_ctx context;
  sha1_init(&context);
  for (const auto& piece : pieces) sha1_update(&context, piece.size(), octets(piece));
  Sha1Digest digest;
  sha1_digest(&context, digest.size(), octets(std::span<std::byte>(digest)));
  return digest;
}

std::string sha1_hex(std::string_view text) {
  const std::span<const std::byte> piece = as_bytes(text);
  return hex(sha1(std::span(&piece, 1)));
}

}  // namespace metaflow::base
