#include "graph/problems.h"

#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/text.h"

namespace metaflow::graph {

using detail::Problem;

namespace {

/// {step}: the step with the problem; {other}: the other step involved; {count}: its number of transitions; {sources}:
/// the steps that lead to {step}; {branches}: those that {other} leads to, {expected} in number.
constexpr std::array kSentences{
    std::pair(Problem::duplicate_step, "Step *{step}* is defined twice."),
    std::pair(Problem::reserved_name, "Step name *{step}* is a reserved word. Choose another name for the step."),
    std::pair(Problem::no_start, "Your flow must have exactly one start step. Name a step 'start'."),
    std::pair(Problem::no_end, "Your flow must have exactly one end step. Name a step 'end'."),
    std::pair(Problem::start_is_entered,
              "The start step *start* has incoming transitions from {step}. A start step must have no incoming "
              "transitions."),
    std::pair(Problem::end_has_transition,
              "The terminal step *{step}* should not have a self.next() transition. Just remove it."),
    std::pair(
        Problem::end_is_join,
        "The terminal step *{step}* should not be a join step (it gets an extra argument). Add a join step before "
        "it."),
    std::pair(Problem::start_is_join,
              "The start step *start* should not be a join step: it takes only 'self' as an argument."),
    std::pair(Problem::bad_name,
              "Step *{step}* has an invalid name. Only lowercase ascii characters, underscores, and digits are "
              "allowed."),
    std::pair(Problem::join_and_split,
              "Step *{step}* is both a join step (it takes an extra argument) and a split step (it transitions to "
              "multiple steps). This is not allowed. Add a new step so that split and join become separate steps."),
    std::pair(Problem::no_transition,
              "Step *{step}* is missing a self.next() transition to the next step. Add a self.next() as the last line "
              "in the function."),
    std::pair(Problem::unknown_target, "Step *{step}* specifies a self.next() transition to an unknown step."),
    std::pair(
        Problem::loop,
        "There is a loop in your flow: *{other}->...->{other}*. Break the loop by fixing self.next() transitions."),
    std::pair(
        Problem::unreachable,
        "Step *{step}* is unreachable from the entry step *start*. Add self.next({step}) in another step or remove "
        "*{step}*."),
    std::pair(Problem::repeated_branch,
              "Step *{step}* has several transitions to *{other}*. Each branch needs a step of its own."),
    std::pair(Problem::unjoined_split,
              "The terminal step *end* was reached before a split started at step(s) *{step}* were joined. Add a join "
              "step before *end*."),
    std::pair(
        Problem::wrong_join_count,
        "Step *{step}* seems like a join step (it takes an extra input argument) but an incorrect number of steps "
        "(*{sources}*) lead to it. This join was expecting {expected} incoming paths, starting from split step(s) "
        "*{branches}*."),
    std::pair(Problem::join_without_split,
              "Step *{step}* seems like a join step (it takes an extra input argument) but it is not preceded by a "
              "split. Ensure that there is a matching split for every join."),
    std::pair(Problem::unrelated_join,
              "Step *{step}* joins steps from unrelated splits. Ensure that there is a matching join for every split."),
    std::pair(Problem::unjoined_paths, "Paths of different splits lead to step *{step}*. Join each split before them."),
    std::pair(Problem::empty_foreach,
              "Step *{step}* is a foreach split that has no children: it is followed immediately by a join step, "
              "*{other}*. Add at least one step between the split and the join."),
    std::pair(Problem::conditional_join,
              "A conditional path cannot lead directly to a join step.\nIn your conditional step(s) *{step}*, one or "
              "more of the possible paths transition directly to the join step *{other}*.\nAs a workaround, please "
              "introduce an intermediate, unconditional step on that specific path before joining."),
    std::pair(Problem::few_cases,
              "Step *{step}* is a switch split but defines {count} transitions. Switch splits must define at least 2 "
              "transitions."),
    std::pair(Problem::item_outside_foreach, "Step *{step}* takes an item, but is not in a foreach.")};

Error located(const detail::FlowDescription& flow, int line, const std::string& what) {
  if (flow.file.empty()) return {ErrorCode::invalid_flow, what};
  const std::string place = line > 0 ? fmt::format(" on line {}", line) : "";
  return {ErrorCode::invalid_flow,
          fmt::format("Validity checker found an issue in file {}{}:\n{}", flow.file, place, what)};
}

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
  const auto step_at = [&flow](int index) {
    return index < 0 ? detail::StepDescription{} : flow.steps[static_cast<std::size_t>(index)];
  };
  const detail::StepDescription step = step_at(analysis.step);
  // unknown_target counts transitions there, and names its step itself.
  const detail::StepDescription other = step_at(analysis.problem == Problem::unknown_target ? -1 : analysis.other);
  for (const auto& [problem, sentence] : kSentences) {
    if (problem != analysis.problem) continue;
    const std::vector<std::string> branches =
        problem == Problem::wrong_join_count ? targets_of(flow, other) : std::vector<std::string>();
    return located(
        flow, step.line,
        fmt::format(fmt::runtime(sentence), fmt::arg("step", step.name), fmt::arg("other", other.name),
                    fmt::arg("count", step.targets.size()),
                    fmt::arg("sources", base::join(sources_of(flow, analysis.step), ", ")),
                    fmt::arg("expected", branches.size()), fmt::arg("branches", base::join(branches, ", "))));
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
