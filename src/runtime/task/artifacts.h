// The artifacts of one task: from the store into the members of a flow object, and back.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/cpp/flow_object.h"
#include "store/flow_store.h"

namespace metaflow::runtime {

/// The value of an artifact that is in the store.
class StoredArtifact : public detail::StoredValue {
 public:
  StoredArtifact(std::shared_ptr<const store::FlowStore> store, store::ArtifactRecord record)
      : store_(std::move(store)), record_(std::move(record)) {}

  Document read() const override;
  const std::string& name() const override { return record_.name; }
  const std::string& key() const override { return record_.key; }
  const store::ArtifactRecord& record() const { return record_; }

 private:
  std::shared_ptr<const store::FlowStore> store_;
  store::ArtifactRecord record_;
};

/// What a member was loaded from.
struct LoadedMember {
  const store::ArtifactRecord* record = nullptr;  // null: it has its initial value
  base::SharedBytes payload;                      // of a plain member, to see whether it was changed
};

/// Lets a lazy member refer to the store. `member`: its address.
void attach_member(const detail::Member& description, void* member, std::shared_ptr<const store::FlowStore> store,
                   const store::ArtifactRecord& record);
/// Gives any other member its value.
void decode_member(const detail::Member& description, void* member, const base::SharedBytes& payload);
/// The members that have a record in `loaded`; their payloads are added there. Those that are not lazy are read
/// together.
void load_members(const FlowObject& object, const std::shared_ptr<const store::FlowStore>& store,
                  std::vector<LoadedMember>& loaded);

/// Stores one member as an artifact, unless it still is what it was loaded from. `items`: also notes where the items of
/// its value stand.
store::ArtifactRecord save_member(const detail::Member& description, const void* member, store::FlowStore& store,
                                  const LoadedMember& loaded, std::vector<detail::ItemSpan>* items = nullptr);

/// Stores a value that `encode` writes.
template <class F>
store::ArtifactRecord save_value(store::FlowStore& store, std::string name, F encode) {
  detail::Pickler pickler;
  encode(pickler);
  pickler.finish();
  const auto parts = pickler.parts();
  return {std::move(name), store.save_value(parts), pickler.size(), std::string(pickler.type())};
}

}  // namespace metaflow::runtime
