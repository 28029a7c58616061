// The JSON form of a lease in the store.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/lease.h"

namespace metaflow::runtime {

std::string lease_to_json(const LeaseHolder& holder);
/// Returns nothing if the text is not a lease.
std::optional<LeaseHolder> lease_from_json(std::string_view text);

}  // namespace metaflow::runtime
