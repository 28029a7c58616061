// Reads and stores artifacts as values.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <metaflow/detail/pickler.h>
#include <metaflow/detail/stored.h>

#include "store/flow_store.h"

namespace metaflow::store {

/// The value of a stored artifact.
class StoredArtifact : public detail::StoredValue {
 public:
  StoredArtifact(std::shared_ptr<const FlowStore> store, ArtifactRecord record)
      : store_(std::move(store)), record_(std::move(record)) {}

  /// Throws Error{data_store, data_missing, invalid_value}. The message of invalid_value begins with the artifact's
  /// name.
  Document read() const override;
  /// The same; nothing for a value of a class that C++ does not read.
  std::optional<Document> read_known() const;
  const std::string& name() const override { return record_.name; }
  const std::string& key() const override { return record_.key; }
  const ArtifactRecord& record() const { return record_; }

 private:
  std::shared_ptr<const FlowStore> store_;
  ArtifactRecord record_;
};

/// The value of an artifact's payload. Throws Error{invalid_value} as StoredArtifact::read does.
Document parse_artifact(const base::SharedBytes& payload, std::string_view name);

/// Stores a value that `encode` writes.
template <class F>
ArtifactRecord save_value(FlowStore& store, std::string name, F encode) {
  detail::Pickler pickler;
  encode(pickler);
  pickler.finish();
  const auto parts = pickler.parts();
  return {std::move(name), store.save_value(parts), pickler.size(), std::string(pickler.type())};
}

}  // namespace metaflow::store
