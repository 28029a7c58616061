#include "runtime/cpp/members.h"

#include <metaflow/detail/describe.h>
#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "store/stored_artifact.h"
#include "value/key.h"

namespace metaflow::runtime {

using store::StoredArtifact;

void attach_member(const detail::Member& description, void* member, std::shared_ptr<const store::FlowStore> store,
                   const store::ArtifactRecord& record) {
  description.ops->attach(member, std::make_shared<StoredArtifact>(std::move(store), record));
}

void decode_member(const detail::Member& description, void* member, const base::SharedBytes& payload) {
  const Document document = store::parse_artifact(payload, description.name);
  description.ops->decode(member, document.root(), detail::Place{nullptr, description.name, 0});
}

const store::ArtifactRecord* record_of_member(const detail::Member& description, const void* member) {
  if (description.ops->stored == nullptr) return nullptr;
  const auto* stored = dynamic_cast<const StoredArtifact*>(description.ops->stored(member));
  return stored != nullptr ? &stored->record() : nullptr;
}

void encode_member(const detail::Member& description, const void* member, detail::Pickler& out) {
  try {
    description.ops->encode(member, out);
  } catch (const Error& error) {
    throw error.prefixed(fmt::format("artifact '{}': ", description.name));
  }
  out.finish();
}

store::ArtifactRecord save_member(const detail::Member& description, const void* member, store::FlowStore& store) {
  detail::Pickler pickler{detail::ValuesOutlive{}};
  encode_member(description, member, pickler);
  return {std::string(description.name), store.save_value(pickler.parts()), pickler.size(),
          std::string(pickler.type())};
}

std::string key_of_member(const detail::Member& description, const void* member) {
  const auto& ops = *description.ops;
  if (ops.stored != nullptr) {
    if (const auto* stored = ops.stored(member)) return stored->key();
  }
  detail::Pickler pickler{detail::ValuesOutlive{}};
  ops.encode(member, pickler);
  pickler.finish();
  return value::key_of(pickler.parts());
}

}  // namespace metaflow::runtime

namespace metaflow::detail {

std::string label_of_number(double value) { return base::python_float(value); }

}  // namespace metaflow::detail
