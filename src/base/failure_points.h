// Named failure points: tests use METAFLOW_FAIL_AT to make the functions of base/files.h fail, as on a full or broken
// disk.
//
//   METAFLOW_FAIL_AT=[WHERE.]POINT:ERRNO[:N[:sticky]][,...]
//
// The N-th call (default: the first) of this point in a process fails with this error; with `sticky` all later calls
// fail, too. WHERE is `scheduler` (every process that is not a task), `task`, or the name of a step: calls of other
// processes are neither counted nor failed. POINT `*` means all points except output. ERRNO is ENOSPC, EIO, EMFILE,
// EAGAIN, EROFS, EACCES, EPERM, ENOENT, EINVAL, EOPNOTSUPP or EINTR (not sticky); `none`, which fails nothing; or KILL,
// which kills the process at this point. METAFLOW_FAIL_LOG=FILE: every matching call is logged there as a line "WHERE
// POINT".
//
// The points: open, read, map, examine, list (a directory), create, write, publish (give a written file its name),
// rename (the same, without hard links), replace, link, append, mkdir, remove, sync, start (a process), thread (start a
// helper thread), output (of commands, to the terminal).
#pragma once

#include <string_view>

namespace metaflow::base {

namespace detail {
extern bool failure_points_armed;
bool hit_failure_point(std::string_view point);
}  // namespace detail

/// Whether the operation must fail here; then errno is set. Thread-safe.
inline bool fails_at(std::string_view point) {
  if (!detail::failure_points_armed) [[likely]]
    return false;
  return detail::hit_failure_point(point);
}

/// Declares this process a task of this step, for WHERE. Earlier calls do not count.
void failure_points_in_task(std::string_view step);

/// Replaces the setting of the environment; an empty one removes it. For unit tests. Throws Error{usage} if it is
/// invalid.
void set_failure_point(std::string_view setting);

}  // namespace metaflow::base
