// Files for values that are larger than memory.
#pragma once

#include <string>

#include "base/files.h"

namespace metaflow::value {

/// Sets the directory of spool files: that of the blobs of the running task's flow, so that publishing a file only
/// needs a rename. Called once, before the step runs; until then spool files are in the directory of temporary files.
void set_spool_directory(std::string directory);

/// A new nameless file.
base::Fd open_spool_file();

}  // namespace metaflow::value
