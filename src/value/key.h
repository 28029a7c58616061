// The keys of blobs: content addresses of 40 hex digits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "value/sha1.h"

namespace metaflow::value {

/// Payloads up to this size are addressed by their SHA-1, as in Python; larger ones by a hash tree, which can be
/// computed on all cores.
inline constexpr std::uint64_t kFlatLimit = 64ULL << 20;

/// The leaves of the tree: chunks of this size, the last one shorter.
inline constexpr std::uint64_t kChunk = 1ULL << 20;

using Pieces = std::span<const std::span<const std::byte>>;

std::uint64_t total_size(Pieces pieces);

/// Computes the digests of the chunks of a large payload. Disjoint ranges of chunks may be hashed by several threads.
class TreeHasher {
 public:
  explicit TreeHasher(Pieces pieces);
  std::size_t chunks() const { return digests_.size(); }
  /// Hashes chunks [begin, end).
  void hash(std::size_t begin, std::size_t end);
  /// Calls f for the pieces of bytes [begin, end) of the payload.
  template <class F>
  void for_each_piece(std::uint64_t begin, std::uint64_t end, F f) const;
  /// The key. Call after all chunks are hashed.
  std::string key() const;

 private:
  Pieces pieces_;
  std::uint64_t size_;
  std::vector<Digest> digests_;
};

/// The key of a payload of any size. Large payloads are hashed by `threads` threads.
std::string key_of(Pieces pieces, unsigned threads = 1);

template <class F>
void TreeHasher::for_each_piece(std::uint64_t begin, std::uint64_t end, F f) const {
  std::uint64_t at = 0;
  for (const auto& piece : pieces_) {
    const std::uint64_t piece_end = at + piece.size();
    if (piece_end > begin && at < end) {
      const std::uint64_t from = begin > at ? begin - at : 0;
      const std::uint64_t to = end < piece_end ? end - at : piece.size();
      f(piece.subspan(from, to - from), at + from);
    }
    at = piece_end;
    if (at >= end) return;
  }
}

}  // namespace metaflow::value
