#include "runtime/task/artifacts.h"

#include <metaflow/error.h>

#include "value/unpickler.h"

namespace metaflow::runtime {

using detail::MemberKind;

Document StoredArtifact::read() const {
  try {
    return value::read_pickle(store_->load_value(record_.key, record_.size, record_.name));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::invalid_value) throw;
    throw error.prefixed("artifact '" + record_.name + "': ");
  }
}

void load_member(const detail::Member& description, void* member, std::shared_ptr<const store::FlowStore> store, const store::ArtifactRecord& record) {
  if (description.ops->attach != nullptr) {
    description.ops->attach(member, std::make_shared<StoredArtifact>(std::move(store), record));
    return;
  }
  const Document document = StoredArtifact(std::move(store), record).read();
  description.ops->decode(member, document.root(), detail::Place{nullptr, description.name, 0});
}

store::ArtifactRecord save_member(const detail::Member& description, const void* member, store::FlowStore& store, const store::ArtifactRecord* loaded,
                                  std::vector<detail::ItemSpan>* items) {
  const auto& ops = *description.ops;
  const bool constant = ops.kind == MemberKind::constant || ops.kind == MemberKind::parameter;
  if (items == nullptr) {
    if (constant && loaded != nullptr) return *loaded;
    if (ops.stored != nullptr) {
      if (const auto* stored = dynamic_cast<const StoredArtifact*>(ops.stored(member))) {
        store::ArtifactRecord record = stored->record();  // it may have come from an artifact of another name
        record.name = description.name;
        return record;
      }
    }
  }
  detail::Pickler pickler;
  if (items != nullptr) pickler.record_items();
  try {
    ops.encode(member, pickler);
  } catch (const Error& error) {
    throw error.prefixed("artifact '" + std::string(description.name) + "': ");
  }
  pickler.finish();
  if (items != nullptr) *items = pickler.items();
  const auto parts = pickler.parts();
  const int spool_file = ops.spool_file != nullptr ? ops.spool_file(member) : -1;
  return {std::string(description.name), store.save_value(parts, spool_file), pickler.size(), std::string(pickler.type())};
}

}  // namespace metaflow::runtime
