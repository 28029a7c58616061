// Steps in Python: values are pickled by Python, and tasks are processes of Python.
#pragma once

#include "python/described_flow.h"
#include "runtime/language.h"

namespace metaflow::python {

class PythonLanguage : public runtime::Language {
 public:
  /// `flow` outlives this object.
  explicit PythonLanguage(const DescribedFlow& flow) : flow_(flow) {}

  std::vector<detail::ParameterDescription> parameters() const override;
  ValueCheck value_check() const override;
  std::vector<store::ArtifactRecord> save_parameters(store::FlowStore& store,
                                                     std::span<const runtime::GivenValue> given) const override;
  std::vector<std::string> task_command() const override { return flow_.command; }
  bool has_fork_server() const override;
  bool can_run_elsewhere() const override { return false; }
  int execute_task(const detail::FlowDescription& flow, const graph::DecoratorTable& decorators,
                   const compute::StepArguments& arguments, const std::vector<std::string>& command) const override;

 private:
  const DescribedFlow& flow_;
};

}  // namespace metaflow::python
