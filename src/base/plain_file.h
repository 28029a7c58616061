// Files in places that others may write to, such as a store that a team shares. There may be a link, a pipe or a device
// where a file should be: these are errors, and none of them is waited for. As in base/files.h, Error{data_store} is
// thrown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/files.h"

namespace metaflow::base {

/// Bytes: of a record of one thing, and of one that grows with a run. A file may say that it has any size, and take no
/// block of the disk for it.
inline constexpr std::uint64_t kMostOfRecord = std::uint64_t{64} << 20U;
inline constexpr std::uint64_t kMostOfLog = std::uint64_t{4} << 30U;

/// As read_file. More than `most` bytes are an error.
std::optional<SharedBytes> read_plain_file(const std::string& path, std::uint64_t most = ~std::uint64_t{0});

/// `flags`: of open(2); what they make has the mode that the umask leaves.
Fd open_plain_file(const std::string& path, int flags);

}  // namespace metaflow::base
