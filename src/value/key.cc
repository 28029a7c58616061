#include "value/key.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string_view>
#include <thread>

#include "base/helpers.h"
#include "base/text.h"

namespace metaflow::value {

std::uint64_t total_size(Pieces pieces) {
  std::uint64_t size = 0;
  for (const auto& piece : pieces) size += piece.size();
  return size;
}

TreeHasher::TreeHasher(Pieces pieces)
    : pieces_(pieces), size_(total_size(pieces)), digests_((size_ + kChunk - 1) / kChunk) {}

void TreeHasher::hash(std::size_t begin, std::size_t end) {
  std::size_t chunk = begin;
  while (chunk < end) {
    const std::uint64_t from = chunk * kChunk;
    const std::uint64_t to = std::min(size_, from + kChunk);
    std::vector<std::span<const std::byte>> parts;
    for_each_piece(from, to, [&](std::span<const std::byte> part, std::uint64_t) { parts.push_back(part); });
    if (parts.size() == 1 && to - from == kChunk) {
      // Extend the run: the following chunks may be contiguous, too.
      std::uint64_t run = kChunk;
      for_each_piece(from, std::min(size_, end * kChunk), [&](std::span<const std::byte> part, std::uint64_t at) {
        if (at == from) run = part.size();
      });
      const std::size_t count = std::min<std::size_t>(end - chunk, run / kChunk);
      sha1_chunks(parts[0].data(), kChunk, std::span(digests_).subspan(chunk, count));
      chunk += count;
    } else {
      digests_[chunk] = sha1(parts);
      ++chunk;
    }
  }
}

std::string TreeHasher::key() const {
  // The text distinguishes the key from the SHA-1 of any payload: no pickle begins with it.
  std::string header = "metaflow-cpp tree 1\n" + std::to_string(kChunk) + "\n" + std::to_string(size_) + "\n";
  std::vector<std::span<const std::byte>> parts{base::as_bytes(header)};
  for (const Digest& digest : digests_) parts.emplace_back(digest);
  return base::hex(sha1(parts));
}

std::string key_of(Pieces pieces, unsigned threads) {
  if (total_size(pieces) <= kFlatLimit) return base::hex(sha1(pieces));
  TreeHasher hasher(pieces);
  constexpr std::size_t kStep = 16;
  std::atomic<std::size_t> next{0};
  auto work = [&] {
    for (std::size_t begin = next.fetch_add(kStep); begin < hasher.chunks(); begin = next.fetch_add(kStep)) {
      hasher.hash(begin, std::min(begin + kStep, hasher.chunks()));
    }
  };
  std::vector<std::jthread> helpers = base::start_helpers(threads > 1 ? threads - 1 : 0, work);
  work();
  helpers.clear();
  return hasher.key();
}

}  // namespace metaflow::value
