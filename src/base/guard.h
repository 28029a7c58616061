// A parent process that outlives a scheduler: it kills all descendants that are left when the scheduler has ended.
#pragma once

#include <cstdint>
#include <functional>

namespace metaflow::base {

/// Forks. The child returns and continues the program in its own process group, without a terminal: its children cannot
/// ask for a password there and wait for ever. The parent is the guard.
///
/// The guard forwards signals, except ignored ones. On SIGTSTP, which the child gets first and may handle if it then
/// stops itself, both stop and later continue. When the child has ended, for any reason, the guard kills all remaining
/// descendants, including those that have called setsid (it is their subreaper), and ends with the child's status. If
/// the guard itself is killed, the child gets a SIGTERM; a SIGKILL if it ignores that.
///
/// A child that gets a second request to stop (SIGINT, SIGTERM, SIGHUP) and is still running `timeout` microseconds
/// later is killed: it blocks and cannot react.
///
/// `killed`: called by the guard if a signal killed the child, to report it.
///
/// Only for a process with one thread. Throws Error{data_store} if it cannot fork.
void continue_under_guard(const std::function<void(int signal)>& killed, std::int64_t timeout = 2'000'000);

}  // namespace metaflow::base
