// A text for POSIX sh that fetches the package into a container without the flow, and starts the flow.
//
// It reads from the environment: MF_URL, the URL of the package; MF_SHA256, its hash; MF_MACHINE, the output of `uname
// -m` that is required; MF_DIR, a private directory to unpack it in (default: one per user in TMPDIR or /tmp); MF_TRIES
// and MF_PAUSE, the number of tries and the seconds between them (6, 10).
//
// MF_URL may be a signed link, so it is a secret: it is never printed, never passed on to the flow, and never an
// argument of a program. The only exception is busybox's wget, which is tried last and accepts it in no other way.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace metaflow::compute {

/// Exit codes of the bootstrap. The task has not begun. Another attempt on the same image may or may not help.
inline constexpr int kImageUnfit = 96;      // the image is unfit: no downloader, no unpacker, another architecture
inline constexpr int kPackageMissing = 97;  // the package could not be fetched, or has another hash

/// Exit code of a supervisor that could not use the store, before or after the step: the step itself did not fail.
inline constexpr int kStoreFailed = 98;

/// Fetches the package, unpacks it in $MF_DIR/$MF_SHA256 and becomes the flow, with the arguments of the script.
const std::string& bootstrap_script();
/// For an init container: fetches the package and unpacks it in $MF_DIR itself, where the next container finds it
/// (start_command).
const std::string& install_script();

/// Returns the command of a container: sh, the text, and the flow's arguments.
std::vector<std::string> bootstrap_command(const std::vector<std::string>& arguments);

}  // namespace metaflow::compute
