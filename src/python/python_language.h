// Steps in Python: values are pickled by Python, and tasks are processes of Python.
#pragma once

#include "python/described_flow.h"
#include "python/flow_code.h"
#include "runtime/language.h"

namespace metaflow::python {

class PythonLanguage : public runtime::Language {
 public:
  /// `flow` outlives this object.
  explicit PythonLanguage(const DescribedFlow& flow) : flow_(flow) {}

  std::string name() const override { return "Python"; }
  std::vector<detail::ParameterDescription> parameters() const override;
  ValueCheck value_check() const override { return nullptr; }
  std::vector<store::ArtifactRecord> save_parameters(store::FlowStore& store,
                                                     std::span<const runtime::GivenValue> given) const override;
  std::vector<std::string> task_command() const override { return flow_.command; }
  bool has_fork_server() const override;
  std::optional<compute::FlowCode> code(const std::vector<std::string>& suffixes) const override {
    return code_of_flow(flow_, suffixes);
  }
  std::vector<std::string> source_suffixes() const override { return {".py", ".R", ".RDS"}; }  // Metaflow's
  std::string debugger() const override { return "pdb"; }
  std::vector<OwnOption> own_options() const override;
  std::string image() const override { return flow_.elsewhere.image; }
  int execute_task(const detail::FlowDescription& flow, const graph::DecoratorTable& decorators,
                   const compute::StepArguments& arguments, const std::vector<std::string>& command) const override;

 private:
  const DescribedFlow& flow_;
};

}  // namespace metaflow::python
