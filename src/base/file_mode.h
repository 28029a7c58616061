// Writes files with an explicit mode instead of the umask's.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/files.h"

namespace metaflow::base {

inline constexpr mode_t kPrivate = 0600;  // for files that may hold secrets

/// As replace_file of base/files.h; the file has this mode from its creation on.
void replace_file(const std::string& path, Parts parts, mode_t mode);
void replace_file(const std::string& path, std::string_view text, mode_t mode);

}  // namespace metaflow::base
