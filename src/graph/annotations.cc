// The run-time values of the steps of a flow in C++: descriptions and decorators.
#include <metaflow/detail/step.h>
#include <metaflow/flow.h>

namespace metaflow::detail {

StepAnnotations::StepAnnotations() = default;
StepAnnotations::StepAnnotations(StepAnnotations&& other) noexcept = default;
StepAnnotations::~StepAnnotations() = default;
void StepAnnotations::add(Decorator decorator) { decorators_.push_back(std::move(decorator)); }
void StepAnnotations::describe(std::string&& words) { doc_ = std::move(words); }

void add_part(StepAnnotations& annotations, doc& part) { annotations.describe(std::move(part.text)); }

GraphAnnotations::GraphAnnotations(std::initializer_list<StepAnnotations*> steps) {
  steps_.reserve(steps.size());
  for (StepAnnotations* step : steps) {
    if (step != nullptr) {
      steps_.push_back(std::move(*step));
    } else {
      steps_.emplace_back();
    }
  }
}
GraphAnnotations::GraphAnnotations(GraphAnnotations&& other) noexcept = default;
GraphAnnotations::~GraphAnnotations() = default;

}  // namespace metaflow::detail
