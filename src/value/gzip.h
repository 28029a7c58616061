// gzip, as Python's Metaflow packs its blobs.
#pragma once

#include "base/bytes.h"

namespace metaflow::value {

bool is_gzip(std::span<const std::byte> bytes);
/// Unpacks; throws Error{data_store} if it is damaged.
base::SharedBytes gunzip(const base::SharedBytes& packed);

}  // namespace metaflow::value
