#include "store/open.h"

#include <fmt/format.h>

#include <metaflow/error.h>

#include "base/settings.h"
#include "store/local/local_storage.h"
#include "store/overlay/overlay_storage.h"
#include "store/s3/s3_storage.h"

namespace metaflow::store {

namespace {

std::unique_ptr<Storage> open_s3(const std::string& root) {
  const base::Settings settings;
  net::AwsConfig config(net::own_variables());
  S3Options options = s3_options(settings, config);
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

}  // namespace metaflow::store
