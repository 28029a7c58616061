// What the steps of a flow in C++ say of themselves beside their types: words and decorators.
#include <metaflow/detail/step.h>
#include <metaflow/flow.h>

namespace metaflow::detail {

StepSayings::StepSayings() = default;
StepSayings::StepSayings(StepSayings&& other) noexcept = default;
StepSayings::~StepSayings() = default;
void StepSayings::add(Decorator decorator) { decorators_.push_back(std::move(decorator)); }
void StepSayings::describe(std::string&& words) { doc_ = std::move(words); }

void add_part(StepSayings& said, doc& part) { said.describe(std::move(part.text)); }

GraphSayings::GraphSayings(std::initializer_list<StepSayings*> steps) {
  steps_.reserve(steps.size());
  for (StepSayings* step : steps) {
    if (step != nullptr) {
      steps_.push_back(std::move(*step));
    } else {
      steps_.emplace_back();
    }
  }
}
GraphSayings::GraphSayings(GraphSayings&& other) noexcept = default;
GraphSayings::~GraphSayings() = default;

}  // namespace metaflow::detail
