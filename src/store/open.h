// Opens storages and metadata by Metaflow's names.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/settings.h"
#include "store/metadata.h"
#include "store/storage.h"

namespace metaflow::store {

/// `type`: "local", or "s3", which METAFLOW_S3_* and AWS's own settings configure. Throws Error{invalid_command} for
/// other types. `scratch`: a directory that receives all writes; empty: none.
std::unique_ptr<Storage> open_storage(const std::string& type, const std::string& root,
                                      const std::string& scratch = {});
/// For a caller that retries itself: a failed call is retried only once.
std::unique_ptr<Storage> open_storage_with_few_retries(const std::string& type, const std::string& root);

/// `type`: "local", with the directory .metaflow `local_root`, or "service", which METAFLOW_SERVICE_* configure. The
/// clock outlives it. Throws Error{invalid_command} for other types.
std::unique_ptr<Metadata> open_metadata(const base::Settings& settings, const std::string& type,
                                        const std::string& local_root, base::Clock& clock);
/// The service at this URL, with the other settings of METAFLOW_SERVICE_*.
std::unique_ptr<Metadata> open_metadata_service(const base::Settings& settings, const std::string& url,
                                                base::Clock& clock);

}  // namespace metaflow::store
