#include <algorithm>

#include <metaflow/detail/description.h>
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

Analysis analyse(const std::vector<Node>& nodes) {
  std::vector<ShapeStep> steps;
  std::vector<int> targets;
  for (const Node& node : nodes) {
    steps.push_back({node.name, hash_of_name(node.name), node.transition, node.join, node.takes_item,
                     static_cast<int>(targets.size()), static_cast<int>(node.targets.size())});
    targets.insert(targets.end(), node.targets.begin(), node.targets.end());
  }
  const std::size_t size = nodes.size();
  Analysis analysis;
  analysis.order.resize(size);
  analysis.matching_join.resize(size);
  std::vector<OpenSplit> around(size);
  const Verdict verdict = Analyser(steps.data(), static_cast<int>(size), targets.data(), analysis.order.data(),
                                   around.data(), analysis.matching_join.data())
                              .run();
  analysis.problem = verdict.problem;
  analysis.step = verdict.step;
  analysis.other = verdict.other;
  analysis.start = verdict.start;
  analysis.end = verdict.end;
  analysis.open.resize(size);
  if (analysis.problem != Problem::none) return analysis;
  for (std::size_t i = 0; i < size; ++i) {
    for (OpenSplit open = around[i]; open.split >= 0; open = around[static_cast<std::size_t>(open.split)])
      analysis.open[i].push_back(open);
    std::reverse(analysis.open[i].begin(), analysis.open[i].end());
  }
  return analysis;
}

FlowDescription describe(const FlowTable& flow, const GraphSayings& said) {
  FlowDescription described;
  described.name = flow.name;
  described.doc = flow.doc();
  described.project = flow.project;
  described.members.assign(flow.members, flow.members + flow.member_count);
  described.make = flow.make;
  described.destroy = flow.destroy;
  described.addresses = flow.addresses;
  described.steps.resize(static_cast<std::size_t>(flow.step_count));
  for (std::size_t i = 0; i < described.steps.size(); ++i) {
    const ShapeStep& shape = flow.shape[i];
    const StepTable& table = flow.steps[i];
    const int* targets = flow.targets + shape.first_target;
    StepDescription& step = described.steps[i];
    step.node = {shape.name, shape.transition, {targets, targets + shape.target_count}, shape.join, shape.takes_item};
    step.variable = table.variable;
    if (table.cases != nullptr) step.cases.assign(table.cases, table.cases + shape.target_count);
    step.run = table.run;
    step.choose = table.choose;
    step.enumerator = table.enumerator;
    step.doc = said.steps()[i].doc();
    step.decorators = said.steps()[i].decorators();
  }
  return described;
}

int run_flow(const FlowTable& flow, const GraphSayings& said, int argc, char** argv) {
  return run_flow(describe(flow, said), argc, argv);
}

}  // namespace metaflow::detail
