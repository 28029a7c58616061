// Opening a storage by Metaflow's names.
#pragma once

#include <memory>
#include <string>

#include "store/storage.h"

namespace metaflow::store {

/// `type`: "local" or "s3", which is reached as METAFLOW_S3_* and AWS's own settings say. Throws Error{invalid_command}
/// for others. `scratch`: a directory that takes all that is written; empty: none.
std::unique_ptr<Storage> open_storage(const std::string& type, const std::string& root,
                                      const std::string& scratch = {});

}  // namespace metaflow::store
