// A parent that outlives its child by a moment: so that whatever kills a scheduler, nothing that it started is left.
#pragma once

#include <cstdint>
#include <functional>

namespace metaflow::base {

/// Forks. The child returns and goes on with the program, in a process group of its own and without a terminal, which
/// it is in the background of: whatever it starts cannot ask there for a password, and wait for ever. The parent, the
/// guard, stays behind: it passes signals on (not those that are ignored), stops with the child and lets it go on
/// (SIGTSTP, which the child gets first and may handle, if it stops itself then), and when the child has ended,
/// however, kills all descendants that are left (it is their subreaper: also those that have called setsid), and ends
/// as the child did. If the guard is killed, the child gets a SIGTERM; a SIGKILL if it ignores that.
///
/// A child that is asked to stop a second time (SIGINT, SIGTERM, SIGHUP) and is still there `patience` microseconds
/// later is killed: it waits for something, and cannot hear.
///
/// `killed`: called by the guard if a signal killed the child, to say so.
///
/// Only for a process with one thread. Throws Error{data_store} if it cannot fork.
void continue_under_guard(const std::function<void(int signal)>& killed, std::int64_t patience = 2'000'000);

}  // namespace metaflow::base
