// gzip, as Python's Metaflow packs its blobs.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace metaflow::value {

bool is_gzip(std::span<const std::byte> bytes);
/// Unpacks; throws Error{data_store} if it is damaged, or would be more than `most` bytes: a few packed ones can claim
/// any number.
base::SharedBytes gunzip(const base::SharedBytes& packed, std::uint64_t most);

}  // namespace metaflow::value
