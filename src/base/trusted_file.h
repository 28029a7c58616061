// Files that control the program, such as configurations: it matters who can write them.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "base/bytes.h"

namespace metaflow::base {

/// A file, and whether it can be trusted.
struct CheckedFile {
  /// Why the file is not trusted: a user other than the caller or root may have written it: "it belongs to mallory",
  /// "the group dev can write its directory".
  std::optional<std::string> distrust;
  std::optional<SharedBytes> content;  // nothing if an untrusted file cannot be read
};

/// Nothing if the file does not exist. Throws Error{data_store} if a trusted file cannot be read, or is not a file.
///
/// A file is trusted if it and its directory belong to the user or root, and no other user can write them. For root,
/// the user who called sudo counts as the user. A group whose only member is the owner does not count as other users.
std::optional<CheckedFile> read_checked_file(const std::string& path, uid_t user = ::geteuid());

/// The owner of a file or directory, if it is another user: "mallory". For root, the user who called sudo counts as the
/// user. Nothing if the path does not exist.
std::optional<std::string> foreign_owner(const std::string& path, uid_t user = ::geteuid());

/// Whether a group has members other than `owner`. Many systems create a private group for each user, whose files are
/// then group-writable.
bool is_shared_group(gid_t group, uid_t owner);

}  // namespace metaflow::base
