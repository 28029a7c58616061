// The members of a flow object in C++ and the payloads that they are in the store.
#pragma once

#include <memory>
#include <string>

#include <metaflow/detail/table.h>

#include "store/flow_store.h"

namespace metaflow::runtime {

/// Lets a lazy member refer to the store. `member`: its address.
void attach_member(const detail::Member& description, void* member, std::shared_ptr<const store::FlowStore> store,
                   const store::ArtifactRecord& record);
/// Gives any other member its value. Throws Error{invalid_value}.
void decode_member(const detail::Member& description, void* member, const base::SharedBytes& payload);

/// What a lazy member refers to, unless the step gave it a value.
const store::ArtifactRecord* record_of_member(const detail::Member& description, const void* member);
/// Writes a whole payload; the member outlives it. Throws Error{invalid_value}.
void encode_member(const detail::Member& description, const void* member, detail::Pickler& out);
/// Encodes and stores a member.
store::ArtifactRecord save_member(const detail::Member& description, const void* member, store::FlowStore& store);

/// The key that a member is stored under, or would be.
std::string key_of_member(const detail::Member& description, const void* member);

}  // namespace metaflow::runtime
