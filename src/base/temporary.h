// What this process needs on a disk for a while: in the directory that TMPDIR names; in /tmp where that is not set,
// does not exist or cannot be written. It is never made.
#pragma once

#include <cstdint>
#include <string>

#include "base/files.h"

namespace metaflow::base {

/// A file without a name, of this user alone. `size`: bytes of the disk that it takes at once, so that writing them
/// cannot fail later. Throws Error{data_store} if it can be had nowhere.
SpoolFile make_temporary_file(std::uint64_t size = 0);

/// A new directory, of this user alone, whose name begins so. Throws the same.
std::string make_temporary_directory(const std::string& prefix);

}  // namespace metaflow::base
