// Files that are obeyed, not just read: it matters who may have written them.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "base/bytes.h"

namespace metaflow::base {

/// A file, and whether to obey it.
struct JudgedFile {
  /// Why somebody other than the user or root may have written it: "it belongs to mallory", "the group dev can write
  /// its directory".
  std::optional<std::string> distrust;
  std::optional<SharedBytes> content;  // nothing if a file that cannot be trusted cannot be read, either
};

/// Nothing if there is none. Throws Error{data_store} if a file that can be trusted cannot be read, or is not a file.
///
/// A file is trusted if it and its directory belong to the user or root and nobody else can write them. To root, who
/// called sudo is the user. A group that has only the owner in it is nobody else.
std::optional<JudgedFile> read_judged_file(const std::string& path, uid_t user = ::geteuid());

/// Whether a group has others in it than a user, whose own it may be: many systems make one with each user, which files
/// then can be written by.
bool is_shared_group(gid_t group, uid_t owner);

}  // namespace metaflow::base
