// Files in places that others may write to, such as a store that a team shares. There may be a link, a pipe or a device
// where a file should be: these are errors, and none of them is waited for. As in base/files.h, Error{data_store} is
// thrown.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/files.h"

namespace metaflow::base {

/// As read_file.
std::optional<SharedBytes> read_plain_file(const std::string& path);

/// `flags`: of open(2); what they make has the mode that the umask leaves.
Fd open_plain_file(const std::string& path, int flags);

}  // namespace metaflow::base
