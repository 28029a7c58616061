// The environment of tests of the scheduler: a language without a program.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/language.h"

namespace metaflow::runtime {

/// Executes no code; checks values with the function that the test gives.
class TestLanguage : public Language {
 public:
  std::string name() const override { return "C++"; }
  explicit TestLanguage(ValueCheck check = [](std::string_view, const Value&, const detail::Place&) {})
      : check_(std::move(check)) {}

  std::vector<detail::ParameterDescription> parameters() const override { return options; }
  ValueCheck value_check() const override { return check_; }
  std::vector<store::ArtifactRecord> save_parameters(store::FlowStore&,
                                                     std::span<const GivenValue> given) const override {
    std::vector<store::ArtifactRecord> saved;
    for (const GivenValue& each : given) saved.push_back({std::string(each.artifact), text_of(*each.value), 0, ""});
    return saved;
  }
  int execute_task(const detail::FlowDescription&, const graph::DecoratorTable&, const compute::StepArguments&,
                   const std::vector<std::string>&) const override {
    return kTaskThrew;
  }

  std::vector<detail::ParameterDescription> options;

 private:
  ValueCheck check_;
};

}  // namespace metaflow::runtime
