// An object of a flow in C++, without its type.
#pragma once

#include <span>
#include <vector>

#include <metaflow/detail/table.h>

namespace metaflow::runtime {

inline std::span<const detail::Member> members_of(const detail::FlowTable& flow) {
  return {flow.members, static_cast<std::size_t>(flow.member_count)};
}

/// The members have their initial values. The table outlives this object.
class FlowObject {
 public:
  explicit FlowObject(const detail::FlowTable& flow)
      : flow_(&flow), object_(flow.make()), addresses_(members_of(flow).size()) {
    flow.addresses(object_, addresses_.data());
  }
  FlowObject(const FlowObject&) = delete;
  FlowObject& operator=(const FlowObject&) = delete;
  ~FlowObject() { flow_->destroy(object_); }

  std::span<const detail::Member> members() const { return members_of(*flow_); }
  void* get() const { return object_; }
  /// The address of a member.
  void* member(std::size_t i) const { return addresses_[i]; }

 private:
  const detail::FlowTable* flow_;
  void* object_;
  std::vector<void*> addresses_;
};

}  // namespace metaflow::runtime
