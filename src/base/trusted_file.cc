#include "base/trusted_file.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "base/files.h"
#include "base/format.h"
#include "base/text.h"

namespace metaflow::base {

namespace {

using Buffer = std::array<char, 16384>;  // for user names and group members

std::string name_of_user(uid_t user) {
  Buffer buffer;
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
    return visible(found->pw_name);
  return fmt::format("user {}", user);
}

/// The name of a group that has members other than the owner. Nothing for the owner's private group, which many systems
/// create with each user, and which makes files group-writable.
std::optional<std::string> shared_group(gid_t number, uid_t owner) {
  Buffer group_buffer;
  group entry{};
  group* found = nullptr;
  if (::getgrgid_r(number, &entry, group_buffer.data(), group_buffer.size(), &found) != 0 || found == nullptr)
    return std::to_string(number);
  Buffer user_buffer;
  passwd user{};
  passwd* known = nullptr;
  const bool is_own = ::getpwuid_r(owner, &user, user_buffer.data(), user_buffer.size(), &known) == 0 &&
                      known != nullptr && known->pw_gid == number && std::string_view(known->pw_name) == found->gr_name;
  if (!is_own) return visible(found->gr_name);
  for (char** member = found->gr_mem; *member != nullptr; ++member) {
    if (std::string_view(*member) != known->pw_name) return visible(found->gr_name);
  }
  return std::nullopt;
}

bool has_called_sudo(uid_t owner, uid_t user) {
  const char* const text = user == 0 ? std::getenv("SUDO_UID") : nullptr;
  if (text == nullptr) return false;
  const std::string_view digits = text;
  uid_t caller = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), caller);
  return error == std::errc() && end == digits.data() + digits.size() && caller == owner;
}

/// `what`: "it", "its directory".
std::optional<std::string> find_distrust(const struct stat& status, uid_t user, const char* what) {
  if (status.st_uid != user && status.st_uid != 0 && !has_called_sudo(status.st_uid, user))
    return fmt::format("{} belongs to {}", what, name_of_user(status.st_uid));
  if ((status.st_mode & S_IWOTH) != 0) return fmt::format("all users can write {}", what);
  if ((status.st_mode & S_IWGRP) == 0) return std::nullopt;
  const auto group = shared_group(status.st_gid, status.st_uid);
  return group ? std::optional(fmt::format("the group {} can write {}", *group, what)) : std::nullopt;
}

}  // namespace

std::optional<std::string> foreign_owner(const std::string& path, uid_t user) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || status.st_uid == user || has_called_sudo(status.st_uid, user))
    return std::nullopt;
  return name_of_user(status.st_uid);
}

bool is_shared_group(gid_t group, uid_t owner) {
  // Called for every file of a store, mostly for the same group. A lookup may need a server.
  struct Answer {
    gid_t group;
    uid_t owner;
    bool is_shared;
  };
  thread_local std::optional<Answer> last;
  if (!last || last->group != group || last->owner != owner)
    last = Answer{group, owner, shared_group(group, owner).has_value()};
  return last->is_shared;
}

std::optional<CheckedFile> read_checked_file(const std::string& path, uid_t user) {
  // Checks the opened file itself: the path may lead elsewhere a moment later.
  const std::string place = directory_of(path);
  const Fd directory(::open(place.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  if (!directory) throw_errno("open", path, errno);
  struct stat status {};
  if (::fstat(directory.get(), &status) != 0) throw_errno("examine", place, errno);
  CheckedFile checked;
  checked.distrust = find_distrust(status, user, "its directory");

  const std::string name = path.substr(path.rfind('/') + 1);  // npos + 1 is 0
  const Fd file(::openat(directory.get(), name.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  const int error = errno;
  if (!file && error == ENOENT) return std::nullopt;
  const int examined = file ? ::fstat(file.get(), &status) : ::fstatat(directory.get(), name.c_str(), &status, 0);
  if (examined == 0 && !checked.distrust) checked.distrust = find_distrust(status, user, "it");
  if (!file && checked.distrust) return checked;
  if (!file) throw_errno("open", path, error);
  if (examined != 0) throw_errno("examine", path, errno);
  if (!S_ISREG(status.st_mode) && checked.distrust) return checked;
  if (!S_ISREG(status.st_mode)) throw_errno("read", path, S_ISDIR(status.st_mode) ? EISDIR : EINVAL);
  checked.content = read_open_file(file, path);
  return checked;
}

}  // namespace metaflow::base
