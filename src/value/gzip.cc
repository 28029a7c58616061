#include "value/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>

#include <metaflow/error.h>

#include "base/format.h"

namespace metaflow::value {

bool is_gzip(std::span<const std::byte> bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
}

base::SharedBytes gunzip(const base::SharedBytes& packed, std::uint64_t most) {
  auto fail = [](const char* what) {
    throw Error(ErrorCode::data_store, std::string("A gzip blob is damaged: ") + what);
  };
  z_stream stream{};
  auto too_large = [most] {
    throw Error(ErrorCode::data_store, fmt::format("A gzip blob unpacks to more than {} bytes", most));
  };
  if (inflateInit2(&stream, 15 + 16) != Z_OK) fail("zlib cannot be initialised");  // 16: gzip header
  struct End {
    z_stream* stream;
    ~End() { inflateEnd(stream); }
  } end{&stream};

  std::string out;
  auto input = packed.bytes();
  constexpr std::size_t kStep = std::numeric_limits<unsigned>::max() / 2;
  std::size_t written = 0;
  while (true) {
    if (stream.avail_in == 0 && !input.empty()) {
      const std::size_t step = std::min(input.size(), kStep);
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(input.data()));
      stream.avail_in = static_cast<unsigned>(step);
      input = input.subspan(step);
    }
    if (written > most) too_large();
    if (out.size() == written) {
      const std::uint64_t wanted = std::max<std::uint64_t>({out.size() * 2, packed.size() * 3, 4096});
      out.resize(std::min(wanted, std::max(most, most + 1)));  // one more byte detects a larger size
    }
    const std::size_t room = std::min(out.size() - written, kStep);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + written);
    stream.avail_out = static_cast<unsigned>(room);
    const int result = inflate(&stream, Z_NO_FLUSH);
    written += room - stream.avail_out;
    if (result == Z_STREAM_END) break;
    if (result == Z_BUF_ERROR && stream.avail_in == 0 && input.empty()) fail("it is truncated");
    if (result != Z_OK && result != Z_BUF_ERROR) fail(stream.msg != nullptr ? stream.msg : "it is not gzip data");
  }
  if (written > most) too_large();
  out.resize(written);
  return base::SharedBytes(std::move(out));
}

std::string gunzip_begin(std::span<const std::byte> packed, std::size_t size) {
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) return {};
  std::string out(size, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));
  stream.avail_in = static_cast<unsigned>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<unsigned>(size);
  inflate(&stream, Z_SYNC_FLUSH);
  out.resize(size - stream.avail_out);
  inflateEnd(&stream);
  return out;
}

}  // namespace metaflow::value
