// What a lease looks like in the store.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/lease.h"

namespace metaflow::runtime {

std::string lease_to_json(const LeaseHolder& holder);
/// Nothing if it cannot be read.
std::optional<LeaseHolder> lease_from_json(std::string_view text);

}  // namespace metaflow::runtime
