#include "store/open.h"

#include <fmt/format.h>

#include <metaflow/error.h>

#include "store/local/local_storage.h"
#include "store/overlay/overlay_storage.h"

namespace metaflow::store {

std::unique_ptr<Storage> open_storage(const std::string& type, const std::string& root, const std::string& scratch) {
  if (!scratch.empty())
    return std::make_unique<OverlayStorage>(open_storage(type, root), std::make_unique<LocalStorage>(scratch));
  if (type == "local") return std::make_unique<LocalStorage>(root);
  throw Error(ErrorCode::invalid_command,
              fmt::format("Invalid value for '--datastore': invalid choice: {}. (choose from local)", type));
}

}  // namespace metaflow::store
