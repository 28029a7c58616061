// The inputs of a join whose step is written in C++: the implementation of mf::Inputs.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <metaflow/inputs.h>

#include "runtime/cpp/flow_object.h"
#include "runtime/task/join_inputs.h"

namespace metaflow::runtime {

/// Loads artifacts of the inputs into flow objects. Not thread-safe.
class CppJoin : public detail::InputsCore {
 public:
  /// `inputs` numbers artifacts as the flow numbers its members. `own`: the flow object of the join, whose members
  /// still have their initial values. All arguments outlive this object.
  CppJoin(const detail::FlowTable& flow, JoinInputs& inputs, std::shared_ptr<const store::FlowStore> store,
          const FlowObject& own);

  std::size_t size() const override { return inputs_.size(); }
  std::size_t index_of(std::string_view step) const override;
  void load(std::size_t input, void* flow) override;
  void load_member(std::size_t input, std::size_t member, void* into) override;
  void merge(void* flow, const detail::MergeChoice& choice) override;

 private:
  void load_from(std::size_t input, std::span<const std::size_t> members, void* const* into);

  const detail::FlowTable& flow_;
  JoinInputs& inputs_;
  std::shared_ptr<const store::FlowStore> store_;
  const FlowObject& own_;
  std::vector<std::string> initial_keys_;  // per member on which the inputs disagree: the key of its initial value
};

}  // namespace metaflow::runtime
