// Compile-time checks of a flow, from the outside in: the class, its members, its steps, the graph, the items of its
// foreachs. The first mistake is reported (diagnostics.h) and ends the search, since later ones may follow from it.
#pragma once

#include <limits>
#include <utility>

#include <metaflow/detail/check_steps.h>

namespace metaflow::detail {

// --- the graph

/// The name of the t-th step that a step leads to.
template <class... Steps>
consteval std::string_view target_name(const Graph<Steps...>*, int step, int t) {
  const StepId* targets[] = {Steps::Transition::kTargets...};
  return targets[step][t]->name;
}

template <class Flow>
consteval std::string_view name_of_other() {
  constexpr const auto& kGraph = kShape<Flow>;
  if constexpr (kGraph.verdict.problem == Problem::unknown_target) {
    return target_name(static_cast<const GraphOf<Flow>*>(nullptr), kGraph.verdict.step, kGraph.verdict.other);
  } else {
    return kGraph.verdict.other < 0 ? std::string_view() : kGraph.steps[kGraph.verdict.other].name;
  }
}

template <class Flow>
consteval bool check_graph() {
  constexpr Verdict kVerdict = kShape<Flow>.verdict;
  if constexpr (kVerdict.problem == Problem::none) {
    return true;
  } else if constexpr (kVerdict.problem == Problem::no_start) {
    return wrong_flow<FlowMistake::no_start, Flow, "">();
  } else if constexpr (kVerdict.problem == Problem::no_end) {
    return wrong_flow<FlowMistake::no_end, Flow, "">();
  } else {
    constexpr std::string_view kStep = kShape<Flow>.steps[kVerdict.step].name;
    constexpr std::string_view kOther = name_of_other<Flow>();
    return wrong_graph<kVerdict.problem, fixed<kStep.size()>(kStep), fixed<kOther.size()>(kOther)>();
  }
}

// --- items

/// The type of the items of the innermost foreach around the I-th step, if the step takes an item.
template <class Flow, class S, std::size_t I>
struct ItemAround {
  using type = void;
};
template <std::size_t I, class... Steps>
consteval TypeAt<I, Steps...> step_at(const Graph<Steps...>*);
template <class Flow, class S, std::size_t I>
  requires(S::kTakesItem)
struct ItemAround<Flow, S, I> {
  static constexpr auto kAround = static_cast<std::size_t>(kShape<Flow>.foreach_around(static_cast<int>(I)));
  using Around = typename decltype(step_at<kAround>(static_cast<const GraphOf<Flow>*>(nullptr)))::type;
  using type = typename ForeachItems<VariableOf<Around::Transition::kVariable>>::Item;
};

/// Whether an item converts to this argument without loss: a double not to an int; an int to a double if its bits fit.
template <class Argument, class Item>
concept Takes =
    std::is_same_v<Argument, Item> ||
    (std::is_arithmetic_v<Argument> && std::is_arithmetic_v<Item> &&
     (requires(Item item) { Argument{item}; } ||
      (std::is_integral_v<Item> && std::is_floating_point_v<Argument> &&
       std::numeric_limits<Item>::digits <= std::numeric_limits<Argument>::digits))) ||
    (!(std::is_arithmetic_v<Argument> && std::is_arithmetic_v<Item>)&&std::is_convertible_v<Item, Argument>);

template <class Flow, class S, std::size_t I>
consteval bool check_item() {
  if constexpr (S::kTakesItem) {
    using Item = typename ItemAround<Flow, S, I>::type;
    if constexpr (!Takes<typename S::Argument, Item>) {
      return wrong_step<StepMistake::item_type, fixed<S::kId->name.size()>(S::kId->name), "",
                        TypeList<typename S::Argument, Item>>();
    }
  }
  return true;
}

template <class Flow, class... Steps, std::size_t... I>
consteval bool check_items(const Graph<Steps...>*, std::index_sequence<I...>) {
  return (check_item<Flow, Steps, I>() && ...);
}

// --- the flow

/// Whether the flow is valid. If not, a static_assert fails, or refuse_flow reports the mistake.
template <class Flow>
consteval bool check_flow() {
  constexpr FlowMistake kMistake = mistake_of_flow<Flow>();
  if constexpr (reported_by_compiler(kMistake)) {
    return false;
  } else if constexpr (kMistake == FlowMistake::bad_name) {
    constexpr std::string_view kName = flow_name<Flow>();
    return wrong_flow<kMistake, Flow, fixed<kName.size()>(kName)>();
  } else if constexpr (kMistake == FlowMistake::bad_project) {
    constexpr std::string_view kName = project_of_flow<Flow>();
    return wrong_flow<kMistake, Flow, fixed<kName.size()>(kName)>();
  } else if constexpr (kMistake != FlowMistake::none) {
    return wrong_flow<kMistake, Flow, "">();
  } else if constexpr (!kIsGraph<GraphOf<Flow>>) {
    return false;  // a static_assert in mf::graph has failed
  } else {
    constexpr const GraphOf<Flow>* kGraph = nullptr;
    if constexpr (!check_members<Flow>(MemberTypes<Flow>{})) {
      return false;
    } else if constexpr (!check_steps<Flow>(kGraph)) {
      return false;
    } else if constexpr (!check_graph<Flow>()) {
      return false;
    } else {
      return check_items<Flow>(kGraph, std::make_index_sequence<GraphOf<Flow>::kSize>{});
    }
  }
}

// --- the program

/// The index of the first flow that has the name of an earlier one; -1: none.
template <class... Flows>
consteval int find_repeated_name() {
  const std::string_view names[] = {flow_name<Flows>()...};
  for (int i = 0; i < static_cast<int>(sizeof...(Flows)); ++i) {
    for (int earlier = 0; earlier < i; ++earlier) {
      if (names[i] == names[earlier]) return i;
    }
  }
  return -1;
}

/// Whether the flows of a program are valid. If not, a static_assert fails.
template <class... Flows>
consteval bool check_flows() {
  if constexpr (sizeof...(Flows) == 0) {
    return wrong_flow<FlowMistake::no_flow, void, "", (sizeof...(Flows) > 0)>();
  } else if constexpr (!(check_flow<Flows>() && ...)) {
    return false;
  } else if constexpr (sizeof...(Flows) > 1 && find_repeated_name<Flows...>() >= 0) {
    using Repeated = typename TypeAt<find_repeated_name<Flows...>(), Flows...>::type;
    constexpr std::string_view kName = flow_name<Repeated>();
    return wrong_flow<FlowMistake::repeated_name, Repeated, fixed<kName.size()>(kName)>();
  } else {
    return true;
  }
}

}  // namespace metaflow::detail
