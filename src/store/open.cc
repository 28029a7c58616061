#include "store/open.h"

#include <metaflow/error.h>

#include "base/format.h"
#include "base/settings.h"
#include "net/plain_http.h"
#include "store/local/local_metadata.h"
#include "store/local/local_storage.h"
#include "store/overlay/overlay_storage.h"
#include "store/s3/s3_storage.h"
#include "store/service/service_reader.h"

namespace metaflow::store {

namespace {

std::unique_ptr<Storage> open_s3(const std::string& root, bool few_retries = false) {
  const base::Settings settings;
  net::AwsConfig config(net::variables_of(settings));
  S3Options options = s3_options(settings, config);
  if (few_retries) {
    options.retry.tries = 2;
    options.retry.max_retry_after = 2'000'000;
  }
  return std::make_unique<S3Storage>(root, std::move(options), std::move(config));
}

}  // namespace

std::unique_ptr<Storage> open_storage(const std::string& type, const std::string& root, const std::string& scratch) {
  if (!scratch.empty())
    return std::make_unique<OverlayStorage>(open_storage(type, root), std::make_unique<LocalStorage>(scratch));
  if (type == "local") return std::make_unique<LocalStorage>(root);
  if (type == "s3") return open_s3(root);
  throw Error(ErrorCode::invalid_command,
              fmt::format("Invalid value for '--datastore': invalid choice: {}. (choose from local, s3)", type));
}

std::unique_ptr<Storage> open_storage_with_few_retries(const std::string& type, const std::string& root) {
  return type == "s3" ? open_s3(root, true) : open_storage(type, root);
}

std::unique_ptr<Metadata> open_metadata(const base::Settings& settings, const std::string& type,
                                        const std::string& local_root, base::Clock& clock) {
  if (type == "local") return std::make_unique<LocalMetadataReader>(local_root);
  if (type == "service") return std::make_unique<ServiceMetadataReader>(service_options(settings), clock);
  throw Error(ErrorCode::invalid_command,
              fmt::format("Invalid value for '--metadata': invalid choice: {}. (choose from service, local)", type));
}

std::unique_ptr<Metadata> open_metadata_service(const base::Settings& settings, const std::string& url,
                                                base::Clock& clock) {
  return std::make_unique<ServiceMetadataReader>(service_options(settings, url), clock);
}

}  // namespace metaflow::store
