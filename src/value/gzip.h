// gzip, the compression of blobs by Metaflow for Python.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/bytes.h"

namespace metaflow::value {

bool is_gzip(std::span<const std::byte> bytes);
/// Decompresses. Throws Error{data_store} if the data is damaged, or would expand to more than `most` bytes: a small
/// file can expand to any size.
base::SharedBytes gunzip(const base::SharedBytes& packed, std::uint64_t most);

/// The first bytes, at most `size`, of data whose begin is `packed`. Shorter or empty if `packed` is damaged or ends.
std::string gunzip_begin(std::span<const std::byte> packed, std::size_t size);

}  // namespace metaflow::value
