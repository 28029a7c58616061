// The error of a full disk, for callers that can free space.
#pragma once

#include <metaflow/error.h>

namespace metaflow::base {

/// A file could not be written since the disk, the quota or the number of files is exhausted. Thrown by throw_errno.
class NoSpace : public Error {
 public:
  using Error::Error;
};

}  // namespace metaflow::base
