// Where values that are larger than memory take shape.
#pragma once

#include <string>

#include "base/files.h"

namespace metaflow::value {

/// The directory of spool files: that of the blobs of the running task's flow, so that a finished file needs only a
/// name. Set once, before the step runs; until then that of temporary files.
void set_spool_directory(std::string directory);

/// A new file without a name.
base::Fd open_spool_file();

}  // namespace metaflow::value
