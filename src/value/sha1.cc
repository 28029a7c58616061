#include "value/sha1.h"

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace metaflow::value {

namespace {

#if defined(__x86_64__)

// Vector types wider than the default target are only ever passed to functions that are inlined.
#pragma GCC diagnostic ignored "-Wpsabi"

#define MF_INLINE __attribute__((always_inline)) inline

template <class Word, int Bits>
MF_INLINE Word rotate(Word x) {
  return (x << Bits) | (x >> (32 - Bits));
}

/// SHA-1 (RFC 3174) of one chunk per lane of the vector type Word. `state` is that of each lane.
template <class Word>
MF_INLINE void compress(std::array<Word, 5>& state, const std::byte* data, std::size_t stride, std::size_t blocks) {
  constexpr std::size_t kLanes = sizeof(Word) / 4;
  for (std::size_t block = 0; block < blocks; ++block) {
    std::array<Word, 16> w;
    for (std::size_t t = 0; t < 16; ++t) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        std::uint32_t word = 0;
        std::memcpy(&word, data + lane * stride + block * 64 + t * 4, 4);
        w[t][lane] = word;
      }
    }
    for (Word& word : w) word = (rotate<Word, 8>(word) & 0x00ff00ffU) | (rotate<Word, 24>(word) & 0xff00ff00U);
    auto [a, b, c, d, e] = state;
#pragma GCC unroll 80
    for (std::size_t t = 0; t < 80; ++t) {
      if (t >= 16) w[t % 16] = rotate<Word, 1>(w[(t - 3) % 16] ^ w[(t - 8) % 16] ^ w[(t - 14) % 16] ^ w[t % 16]);
      Word f = b ^ c ^ d;
      std::uint32_t k = t < 40 ? 0x6ED9EBA1U : 0xCA62C1D6U;
      if (t < 20) {
        f = (b & c) | (~b & d);
        k = 0x5A827999U;
      } else if (t >= 40 && t < 60) {
        f = (b & c) | (b & d) | (c & d);
        k = 0x8F1BBCDCU;
      }
      const Word next = rotate<Word, 5>(a) + f + e + k + w[t % 16];
      e = d;
      d = c;
      c = rotate<Word, 30>(b);
      b = a;
      a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
  }
}

template <class Word>
MF_INLINE void hash_lanes(const std::byte* data, std::size_t chunk, Digest* digests) {
  constexpr std::size_t kLanes = sizeof(Word) / 4;
  constexpr std::array<std::uint32_t, 5> kInitial{0x67452301U, 0xEFCDAB89U, 0x98BADCFEU, 0x10325476U, 0xC3D2E1F0U};
  std::array<Word, 5> state;
  for (std::size_t i = 0; i < 5; ++i) state[i] = Word{} + kInitial[i];
  compress(state, data, chunk, chunk / 64);

  // The padding block that ends every chunk: a 1 bit, zeros, the length in bits.
  std::array<std::byte, 64> padding{std::byte{0x80}};
  for (std::size_t i = 0; i < 8; ++i) padding[63 - i] = static_cast<std::byte>(chunk * 8 >> (8 * i));
  compress(state, padding.data(), 0, 1);

  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    for (std::size_t i = 0; i < 20; ++i)
      digests[lane][i] = static_cast<std::byte>(state[i / 4][lane] >> (24 - 8 * (i % 4)));
  }
}

using Word16 = std::uint32_t __attribute__((vector_size(64)));
using Word8 = std::uint32_t __attribute__((vector_size(32)));

__attribute__((target("avx512f,avx512vl,avx512bw"))) void hash_16(const std::byte* data, std::size_t chunk,
                                                                  Digest* digests) {
  hash_lanes<Word16>(data, chunk, digests);
}

__attribute__((target("avx2"))) void hash_8(const std::byte* data, std::size_t chunk, Digest* digests) {
  hash_lanes<Word8>(data, chunk, digests);
}

/// The vector extensions of the processor and the kernel. Queried when a large value is hashed, not with
/// __builtin_cpu_supports, which queries them at the start of every process: in a virtual machine each query traps,
/// which takes 70 microseconds in all.
struct Vectors {
  bool avx2 = false;
  bool avx512 = false;

  Vectors() {
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0) return;
    unsigned saved = 0;  // registers saved by the kernel: 2 and 4 for AVX, 0xe0 for AVX-512
    __asm__("xgetbv" : "=a"(saved), "=d"(d) : "c"(0));
    if ((saved & 0x06U) != 0x06U || __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return;
    constexpr unsigned kAvx512 = bit_AVX512F | bit_AVX512VL | bit_AVX512BW;
    avx2 = (b & bit_AVX2) != 0;
    avx512 = (saved & 0xe0U) == 0xe0U && (b & kAvx512) == kAvx512;
  }
};

#endif

}  // namespace

void sha1_chunks(const std::byte* data, std::size_t chunk, std::span<Digest> digests) {
  std::size_t done = 0;
#if defined(__x86_64__)
  static const Vectors kVectors;
  for (; kVectors.avx512 && done + 16 <= digests.size(); done += 16)
    hash_16(data + done * chunk, chunk, &digests[done]);
  for (; kVectors.avx2 && done + 8 <= digests.size(); done += 8) hash_8(data + done * chunk, chunk, &digests[done]);
#endif
  for (; done < digests.size(); ++done) {
    const std::span<const std::byte> piece(data + done * chunk, chunk);
    digests[done] = sha1(std::span(&piece, 1));
  }
}

}  // namespace metaflow::value
