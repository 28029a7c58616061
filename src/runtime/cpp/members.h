// Converts between the members of a C++ flow object and their payloads in the store.
#pragma once

#include <memory>
#include <string>

#include <metaflow/detail/table.h>

#include "store/flow_store.h"

namespace metaflow::runtime {

/// Makes a lazy member refer to the store. `member`: its address.
void attach_member(const detail::Member& description, void* member, std::shared_ptr<const store::FlowStore> store,
                   const store::ArtifactRecord& record);
/// Decodes the value of a member that is not lazy. Throws Error{invalid_value}.
void decode_member(const detail::Member& description, void* member, const base::SharedBytes& payload);

/// The record that a lazy member refers to; null if the step gave it a value.
const store::ArtifactRecord* record_of_member(const detail::Member& description, const void* member);
/// Writes a whole payload; the member outlives it. Throws Error{invalid_value}.
void encode_member(const detail::Member& description, const void* member, detail::Pickler& out);
/// Encodes and stores a member.
store::ArtifactRecord save_member(const detail::Member& description, const void* member, store::FlowStore& store);

/// The key under which the member is stored, or would be stored.
std::string key_of_member(const detail::Member& description, const void* member);

}  // namespace metaflow::runtime
