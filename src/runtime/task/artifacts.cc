#include "runtime/task/artifacts.h"

#include <cstring>

#include <metaflow/error.h>

#include "value/unpickler.h"

namespace metaflow::runtime {

using detail::ArtifactKind;

namespace {

Document parse(const base::SharedBytes& payload, const std::string& name) {
  try {
    return value::read_pickle(payload);
  } catch (const Error& error) {
    throw error.prefixed("artifact '" + name + "': ");
  }
}

bool same_bytes(store::Pieces pieces, std::span<const std::byte> whole) {
  std::size_t at = 0;
  for (const auto& piece : pieces) {
    if (piece.size() > whole.size() - at || std::memcmp(piece.data(), whole.data() + at, piece.size()) != 0)
      return false;
    at += piece.size();
  }
  return at == whole.size();
}

}  // namespace

Document StoredArtifact::read() const {
  return parse(store_->load_value(record_.key, record_.size, record_.name), record_.name);
}

void decode_member(const detail::Member& description, void* member, const base::SharedBytes& payload) {
  const Document document = parse(payload, std::string(description.name));
  description.ops->decode(member, document.root(), detail::Place{nullptr, description.name, 0});
}

void attach_member(const detail::Member& description, void* member, std::shared_ptr<const store::FlowStore> store,
                   const store::ArtifactRecord& record) {
  description.ops->attach(member, std::make_shared<StoredArtifact>(std::move(store), record));
}

void load_members(const FlowObject& object, const std::shared_ptr<const store::FlowStore>& store,
                  std::vector<LoadedMember>& loaded) {
  const auto members = object.members();
  std::vector<std::size_t> plain;
  std::vector<const store::ArtifactRecord*> records;
  for (std::size_t m = 0; m < members.size(); ++m) {
    if (loaded[m].record == nullptr) continue;
    if (members[m].ops->attach != nullptr) {
      attach_member(members[m], object.member(m), store, *loaded[m].record);
    } else {
      plain.push_back(m);
      records.push_back(loaded[m].record);
    }
  }
  std::vector<base::SharedBytes> payloads = store->load_values(records);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const std::size_t m = plain[i];
    decode_member(members[m], object.member(m), payloads[i]);
    loaded[m].payload = std::move(payloads[i]);
  }
}

store::ArtifactRecord save_member(const detail::Member& description, const void* member, store::FlowStore& store,
                                  const LoadedMember& loaded, std::vector<detail::ItemSpan>* items) {
  const auto& ops = *description.ops;
  const bool constant = ops.kind == ArtifactKind::constant || ops.kind == ArtifactKind::parameter;
  if (items == nullptr) {
    if (constant && loaded.record != nullptr) return *loaded.record;
    if (ops.stored != nullptr) {
      if (const auto* stored = dynamic_cast<const StoredArtifact*>(ops.stored(member))) {
        store::ArtifactRecord record = stored->record();  // it may have come from an artifact of another name
        record.name = description.name;
        return record;
      }
    }
  }
  detail::Pickler pickler{detail::ValuesOutlive{}};
  if (items != nullptr) pickler.record_items();
  try {
    ops.encode(member, pickler);
  } catch (const Error& error) {
    throw error.prefixed("artifact '" + std::string(description.name) + "': ");
  }
  pickler.finish();
  if (items != nullptr) *items = pickler.items();
  const auto parts = pickler.parts();
  if (loaded.record != nullptr && same_bytes(parts, loaded.payload.bytes())) return *loaded.record;
  const int spool_file = ops.spool_file != nullptr ? ops.spool_file(member) : -1;
  return {std::string(description.name), store.save_value(parts, spool_file), pickler.size(),
          std::string(pickler.type())};
}

}  // namespace metaflow::runtime
