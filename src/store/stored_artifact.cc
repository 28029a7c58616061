#include "store/stored_artifact.h"

#include <metaflow/error.h>

#include "base/format.h"
#include "value/unpickler.h"

namespace metaflow::store {

Document parse_artifact(const base::SharedBytes& payload, std::string_view name) {
  try {
    return value::read_pickle(payload);
  } catch (const Error& error) {
    throw error.prefixed(fmt::format("artifact '{}': ", name));
  }
}

Document StoredArtifact::read() const {
  return parse_artifact(store_->load_value(record_.key, record_.size, record_.name), record_.name);
}

std::optional<Document> StoredArtifact::read_known() const {
  try {
    return read();
  } catch (const Error& error) {
    if (!value::is_of_unknown_class(error)) throw;
    return std::nullopt;
  }
}

}  // namespace metaflow::store
