#include <algorithm>

#include <metaflow/detail/description.h>

namespace metaflow::detail {

const StepDescription* FlowDescription::find_step(std::string_view wanted) const {
  const auto found = std::find_if(steps.begin(), steps.end(), [&](const auto& step) { return step.name == wanted; });
  return found == steps.end() ? nullptr : &*found;
}

const ArtifactDescription* FlowDescription::find_artifact(std::string_view wanted) const {
  const auto found =
      std::find_if(artifacts.begin(), artifacts.end(), [&](const auto& artifact) { return artifact.name == wanted; });
  return found == artifacts.end() ? nullptr : &*found;
}

Analysis analyse(const std::vector<StepDescription>& described) {
  std::vector<ShapeStep> steps;
  std::vector<int> targets;
  for (const StepDescription& step : described) {
    steps.push_back({step.name, hash_of_name(step.name), step.transition, step.join, step.takes_item,
                     static_cast<int>(targets.size()), static_cast<int>(step.targets.size()), step.is_start,
                     step.is_end});
    targets.insert(targets.end(), step.targets.begin(), step.targets.end());
  }
  const std::size_t size = described.size();
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

}  // namespace metaflow::detail
