// Temporary files of this process: in the directory of TMPDIR; in /tmp if TMPDIR is unset, does not exist or is not
// writable. The directory is never created.
#pragma once

#include <cstdint>
#include <string>

#include "base/files.h"

namespace metaflow::base {

/// A nameless file that only this user can access. `size`: bytes of disk to reserve at once, so that writing them
/// cannot fail later. Throws Error{data_store} if no directory is usable.
SpoolFile make_temporary_file(std::uint64_t size = 0);

/// A new directory that only this user can access, with a name that begins with `prefix`. Throws as above.
std::string make_temporary_directory(const std::string& prefix);

}  // namespace metaflow::base
