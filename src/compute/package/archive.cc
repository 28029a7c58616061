#include "compute/package/archive.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <limits>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"

namespace metaflow::compute {

namespace {

constexpr std::size_t kBlock = 512;
constexpr std::uint64_t kTime = 1575360000;  // 2019-12-03, as in Metaflow's packages
constexpr int kLevel = 3;                    // as there; higher levels are slow and gain little

/// A member's header, POSIX.1-1988 (ustar).
struct Header {
  std::array<char, 100> name{};
  std::array<char, 8> mode{};
  std::array<char, 8> user{};
  std::array<char, 8> group{};
  std::array<char, 12> size{};
  std::array<char, 12> time{};
  std::array<char, 8> checksum{};
  char type = '0';
  std::array<char, 100> target{};
  std::array<char, 6> magic{'u', 's', 't', 'a', 'r', '\0'};
  std::array<char, 2> version{'0', '0'};
  std::array<char, 32> user_name{};
  std::array<char, 32> group_name{};
  std::array<char, 16> device{};
  std::array<char, 155> prefix{};
  std::array<char, 12> padding{};
};
static_assert(sizeof(Header) == kBlock);

template <std::size_t N>
void put_octal(std::array<char, N>& field, std::uint64_t number) {
  std::snprintf(field.data(), N, "%0*llo", static_cast<int>(N - 1), static_cast<unsigned long long>(number));
}

Header header_of(const std::string& name, std::uint64_t size, bool executable) {
  Header header;
  std::size_t begin = 0;
  if (name.size() > header.name.size()) {  // the first part goes into the prefix
    begin = name.rfind('/', header.prefix.size()) + 1;
    if (begin == 0 || name.size() - begin > header.name.size())
      throw Error(ErrorCode::invalid_command, fmt::format("The name '{}' is too long for a package", name));
    std::memcpy(header.prefix.data(), name.data(), begin - 1);
  }
  std::memcpy(header.name.data(), name.data() + begin, name.size() - begin);
  put_octal(header.mode, executable ? 0555 : 0444);
  put_octal(header.user, 0);
  put_octal(header.group, 0);
  put_octal(header.size, size);
  put_octal(header.time, kTime);
  header.checksum.fill(' ');
  unsigned sum = 0;
  for (const char* byte = reinterpret_cast<const char*>(&header); byte != reinterpret_cast<const char*>(&header + 1);
       ++byte)
    sum += static_cast<unsigned char>(*byte);
  std::snprintf(header.checksum.data(), header.checksum.size(), "%06o", sum);
  return header;
}

}  // namespace

class Archive::Packer {
 public:
  Packer() {
    // 16 selects gzip, without time and name in its header.
    if (::deflateInit2(&stream_, kLevel, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
      throw Error(ErrorCode::out_of_memory, "Cannot create a package: out of memory");
  }
  Packer(const Packer&) = delete;
  Packer& operator=(const Packer&) = delete;
  ~Packer() { ::deflateEnd(&stream_); }

  void write(std::span<const std::byte> bytes, int flush = Z_NO_FLUSH) {
    constexpr std::size_t kStep = std::numeric_limits<unsigned>::max() / 2;
    do {
      const auto piece = bytes.first(std::min(bytes.size(), kStep));
      bytes = bytes.subspan(piece.size());
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(piece.data()));
      stream_.avail_in = static_cast<unsigned>(piece.size());
      do {
        stream_.next_out = reinterpret_cast<Bytef*>(buffer_.data());
        stream_.avail_out = static_cast<unsigned>(buffer_.size());
        ::deflate(&stream_, bytes.empty() ? flush : Z_NO_FLUSH);
        packed_.append(buffer_.data(), buffer_.size() - stream_.avail_out);
      } while (stream_.avail_out == 0);
    } while (!bytes.empty());
  }

  std::string take() { return std::move(packed_); }

 private:
  z_stream stream_{};
  std::array<char, 64 * 1024> buffer_;
  std::string packed_;
};

Archive::Archive() : packer_(std::make_unique<Packer>()) {}
Archive::~Archive() = default;

void Archive::add(const std::string& name, std::span<const std::byte> content, bool executable) {
  static constexpr std::array<std::byte, kBlock> kZeros{};
  const Header header = header_of(name, content.size(), executable);
  packer_->write(std::as_bytes(std::span(&header, 1)));
  packer_->write(content);
  if (const std::size_t rest = content.size() % kBlock; rest != 0)
    packer_->write(std::span(kZeros).first(kBlock - rest));
}

void Archive::add(const std::string& name, std::string_view content) { add(name, base::as_bytes(content), false); }

std::string Archive::finish() {
  static constexpr std::array<std::byte, 2 * kBlock> kEnd{};
  packer_->write(kEnd, Z_FINISH);
  return packer_->take();
}

}  // namespace metaflow::compute
