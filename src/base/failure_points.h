// Named points at which tests make the functions of base/files.h fail, as a full disk or a bad one would:
// METAFLOW_FAIL_AT.
//
//   METAFLOW_FAIL_AT=[WHERE.]POINT:ERRNO[:N[:sticky]][,...]
//
// The N-th call (the first, if N is not given) of this point in a process fails with this error; with `sticky` every
// later one, too. WHERE is `scheduler` (every process that is not a task), `task`, or the name of a step: calls of
// other processes are neither counted nor failed. POINT `*` is all but output. ERRNO is ENOSPC, EIO, EMFILE, EAGAIN,
// EROFS, EACCES, EPERM, ENOENT, EINVAL, EOPNOTSUPP or EINTR (not sticky); `none`, which fails nothing; or KILL: the
// process is gone at this point. METAFLOW_FAIL_LOG=FILE: every call that was hit is noted there, a line "WHERE POINT"
// each.
//
// The points: open, read, map, examine, list (a directory), create, write, publish (name a file that is written),
// rename (the same, where there are no hard links), replace, link, append, mkdir, remove, sync, start (a process),
// thread (start one that helps), output (to the terminal, of commands).
#pragma once

#include <string_view>

namespace metaflow::base {

namespace detail {
extern bool failure_points_armed;
bool hit_failure_point(std::string_view point);
}  // namespace detail

/// Whether the operation is to fail here; then errno says of what. Thread-safe.
inline bool fails_at(std::string_view point) {
  if (!detail::failure_points_armed) [[likely]]
    return false;
  return detail::hit_failure_point(point);
}

/// From here on this process is a task of this step, for WHERE. The calls before do not count.
void failure_points_in_task(std::string_view step);

/// Takes a setting in the place of the environment's; none if empty. For unit tests. Throws Error{usage} if it is none.
void set_failure_point(std::string_view setting);

}  // namespace metaflow::base
