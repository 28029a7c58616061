#include "graph/problems.h"

#include <vector>

#include "base/format.h"
#include "base/text.h"

namespace metaflow::graph {

using detail::Problem;

namespace {

Error located(const detail::FlowDescription& flow, int line, const std::string& what) {
  if (flow.file.empty()) return {ErrorCode::invalid_flow, what};
  const std::string place = line > 0 ? fmt::format(" on line {}", line) : "";
  return {ErrorCode::invalid_flow,
          fmt::format("Validity checker found an issue in file {}{}:\n{}", flow.file, place, what)};
}

/// The steps with a transition to a step.
std::vector<std::string> sources_of(const detail::FlowDescription& flow, int step) {
  std::vector<std::string> names;
  for (const detail::StepDescription& each : flow.steps) {
    for (const int target : each.targets) {
      if (target == step) names.push_back(each.name);
    }
  }
  return names;
}

std::vector<std::string> targets_of(const detail::FlowDescription& flow, const detail::StepDescription& step) {
  std::vector<std::string> names;
  for (const int target : step.targets) names.push_back(flow.steps[static_cast<std::size_t>(target)].name);
  return names;
}

}  // namespace

Error invalid_graph(const detail::FlowDescription& flow, const detail::Analysis& analysis) {
  static const detail::StepDescription kNone;
  const auto step_at = [&](int index) -> const detail::StepDescription& {
    return index < 0 ? kNone : flow.steps[static_cast<std::size_t>(index)];
  };
  const detail::StepDescription& step = step_at(analysis.step);
  const std::string& name = step.name;
  // Only a step that problems name in this way; unknown_target counts targets.
  const std::string other = step_at(analysis.other).name;
  const auto error = [&](const std::string& what) { return located(flow, step.line, what); };
  switch (analysis.problem) {
    case Problem::none: break;
    case Problem::duplicate_step: return error(fmt::format("Step *{}* is defined twice.", name));
    case Problem::reserved_name:
      return error(fmt::format("Step name *{}* is a reserved word. Choose another name for the step.", name));
    case Problem::no_start: return error("Your flow must have exactly one start step. Name a step 'start'.");
    case Problem::no_end: return error("Your flow must have exactly one end step. Name a step 'end'.");
    case Problem::start_is_entered:
      return error(
          fmt::format("The start step *start* has incoming transitions from {}. A start step must have no "
                      "incoming transitions.",
                      name));
    case Problem::end_has_transition:
      return error(
          fmt::format("The terminal step *{}* should not have a self.next() transition. Just remove it.", name));
    case Problem::end_is_join:
      return error(
          fmt::format("The terminal step *{}* should not be a join step (it gets an extra argument). Add a "
                      "join step before it.",
                      name));
    case Problem::start_is_join:
      return error("The start step *start* should not be a join step: it takes only 'self' as an argument.");
    case Problem::bad_name:
      return error(
          fmt::format("Step *{}* has an invalid name. Only lowercase ascii characters, underscores, and digits "
                      "are allowed.",
                      name));
    case Problem::join_and_split:
      return error(
          fmt::format("Step *{}* is both a join step (it takes an extra argument) and a split step (it "
                      "transitions to multiple steps). This is not allowed. Add a new step so that split and "
                      "join become separate steps.",
                      name));
    case Problem::no_transition:
      return error(
          fmt::format("Step *{}* is missing a self.next() transition to the next step. Add a self.next() as "
                      "the last line in the function.",
                      name));
    case Problem::unknown_target:
      return error(fmt::format("Step *{}* specifies a self.next() transition to an unknown step.", name));
    case Problem::loop:
      return error(
          fmt::format("There is a loop in your flow: *{}->...->{}*. Break the loop by fixing self.next() "
                      "transitions.",
                      other, other));
    case Problem::unreachable:
      return error(
          fmt::format("Step *{0}* is unreachable from the entry step *start*. Add self.next({0}) in another "
                      "step or remove *{0}*.",
                      name));
    case Problem::repeated_branch:
      return error(
          fmt::format("Step *{}* has several transitions to *{}*. Each branch needs a step of its own.", name, other));
    case Problem::unjoined_split:
      return error(
          fmt::format("The terminal step *end* was reached before a split started at step(s) *{}* were joined. "
                      "Add a join step before *end*.",
                      name));
    case Problem::wrong_join_count:
      return error(
          fmt::format("Step *{}* seems like a join step (it takes an extra input argument) but an incorrect "
                      "number of steps (*{}*) lead to it. This join was expecting {} incoming paths, starting "
                      "from split step(s) *{}*.",
                      name, base::join(sources_of(flow, analysis.step), ", "), step_at(analysis.other).targets.size(),
                      base::join(targets_of(flow, step_at(analysis.other)), ", ")));
    case Problem::join_without_split:
      return error(
          fmt::format("Step *{}* seems like a join step (it takes an extra input argument) but it is not "
                      "preceded by a split. Ensure that there is a matching split for every join.",
                      name));
    case Problem::unrelated_join:
      return error(
          fmt::format("Step *{}* joins steps from unrelated splits. Ensure that there is a matching join for "
                      "every split.",
                      name));
    case Problem::unjoined_paths:
      return error(fmt::format("Paths of different splits lead to step *{}*. Join each split before them.", name));
    case Problem::empty_foreach:
      return error(
          fmt::format("Step *{}* is a foreach split that has no children: it is followed immediately by a join "
                      "step, *{}*. Add at least one step between the split and the join.",
                      name, other));
    case Problem::conditional_join:
      return error(
          fmt::format("A conditional path cannot lead directly to a join step.\nIn your conditional step(s) "
                      "*{}*, one or more of the possible paths transition directly to the join step *{}*.\nAs "
                      "a workaround, please introduce an intermediate, unconditional step on that specific "
                      "path before joining.",
                      name, other));
    case Problem::few_cases:
      return error(
          fmt::format("Step *{}* is a switch split but defines {} transitions. Switch splits must define at "
                      "least 2 transitions.",
                      name, step.targets.size()));
    case Problem::item_outside_foreach:
      return error(fmt::format("Step *{}* takes an item, but is not in a foreach.", name));
  }
  return {ErrorCode::internal, fmt::format("The graph of flow {} has no problem", flow.name)};
}

Error unknown_target(const detail::FlowDescription& flow, const detail::StepDescription& step,
                     const std::string& target) {
  return located(
      flow, step.line,
      fmt::format("Step *{}* specifies a self.next() transition to an unknown step, *{}*.", step.name, target));
}

}  // namespace metaflow::graph
