// Flows in C++: implements Language on top of a FlowTable.
#pragma once

#include <string>
#include <vector>

#include <metaflow/detail/description.h>
#include <metaflow/detail/table.h>

#include "runtime/language.h"

namespace metaflow::runtime {

/// The description of a flow.
detail::FlowDescription describe(const detail::FlowTable& flow, const detail::GraphAnnotations& said);

class CppLanguage : public Language {
 public:
  /// `flow` outlives this.
  explicit CppLanguage(const detail::FlowTable& flow) : flow_(flow) {}

  std::string name() const override { return "C++"; }
  std::vector<detail::ParameterDescription> parameters() const override;
  ValueCheck value_check() const override;
  std::vector<store::ArtifactRecord> save_parameters(store::FlowStore& store,
                                                     std::span<const GivenValue> given) const override;
  int execute_task(const detail::FlowDescription& flow, const graph::DecoratorTable& decorators,
                   const compute::StepArguments& arguments, const std::vector<std::string>& command) const override;

 private:
  const detail::FlowTable& flow_;
};

}  // namespace metaflow::runtime
