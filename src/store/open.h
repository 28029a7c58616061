// Opening storages and metadata by Metaflow's names.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/settings.h"
#include "store/metadata.h"
#include "store/storage.h"

namespace metaflow::store {

/// `type`: "local" or "s3", which is reached as METAFLOW_S3_* and AWS's own settings say. Throws Error{invalid_command}
/// for others. `scratch`: a directory that takes all that is written; empty: none.
std::unique_ptr<Storage> open_storage(const std::string& type, const std::string& root,
                                      const std::string& scratch = {});
/// The same for a caller that tries again itself: a call that fails is repeated once only.
std::unique_ptr<Storage> open_impatient_storage(const std::string& type, const std::string& root);

/// `type`: "local", in the directory .metaflow `local_root`, or "service", which is reached as METAFLOW_SERVICE_* say.
/// The clock outlives it. Throws Error{invalid_command} for others.
std::unique_ptr<Metadata> open_metadata(const base::Settings& settings, const std::string& type,
                                        const std::string& local_root, base::Clock& clock);

}  // namespace metaflow::store
