// Files in directories that others may write to, such as a shared store. A link, a pipe or a device in place of a file
// is an error, and never blocks. Errors are Error{data_store}, as in base/files.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/files.h"

namespace metaflow::base {

/// Limits in bytes: of a record of one object, and of a file that grows with a run. A sparse file may have any size
/// without using disk blocks.
inline constexpr std::uint64_t kMaxRecordSize = std::uint64_t{64} << 20U;
inline constexpr std::uint64_t kMaxLogSize = std::uint64_t{4} << 30U;

/// As read_file. A file of more than `most` bytes is an error.
std::optional<SharedBytes> read_plain_file(const std::string& path, std::uint64_t most = ~std::uint64_t{0});

/// `flags`: as for open(2). Created files have the mode that the umask allows.
Fd open_plain_file(const std::string& path, int flags);

}  // namespace metaflow::base
