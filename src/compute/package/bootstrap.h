// How a container that knows nothing of the flow gets its package and starts it: a text for POSIX sh.
//
// It reads from the environment: MF_URL, where the package is; MF_SHA256, what it must be; MF_MACHINE, what `uname -m`
// must say; MF_DIR, a directory of one's own to unpack it in (default: one per user in TMPDIR or /tmp); MF_TRIES and
// MF_PAUSE, how often it is tried and how many seconds apart (6, 10).
//
// MF_URL may be a signed link, so it is a secret: it is never an argument of a program (but for the wget of busybox,
// which is tried last: it takes it in no other way), never printed, and not passed on to the flow.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace metaflow::compute {

/// Exit statuses of the bootstrap: the task has not begun, and another attempt on the same image may or may not help.
inline constexpr int kImageUnfit = 96;      // this image cannot: no downloader, no unpacker, another architecture
inline constexpr int kPackageMissing = 97;  // the package was not to be had, or is not what it should be

/// Exit status of a supervisor that could not use the store, before the step or after it: the step itself did not fail.
inline constexpr int kStoreFailed = 98;

/// Fetches the package, unpacks it in $MF_DIR/$MF_SHA256 and becomes the flow, with the arguments that the script has.
const std::string& bootstrap_script();
/// For an init container: fetches the package and unpacks it in $MF_DIR itself, where the next container finds it
/// (start_command).
const std::string& install_script();

/// The command of a container: sh, the text, and the flow's arguments.
std::vector<std::string> bootstrap_command(const std::vector<std::string>& arguments);

}  // namespace metaflow::compute
