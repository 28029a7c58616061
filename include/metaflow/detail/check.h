// Says at compile time what is wrong with a flow: one plain sentence, with the name of the step or member in the lines
// around it
// ("explain_step<Problem::unreachable, "lonely">").
#pragma once

#include <metaflow/array.h>
#include <metaflow/artifact.h>
#include <metaflow/codec.h>
#include <metaflow/detail/step.h>
#include <metaflow/parameter.h>

#include <array>
#include <type_traits>

namespace metaflow::detail {

template <std::size_t N>
constexpr FixedString<N + 1> fixed(std::string_view text) {
  FixedString<N + 1> fixed;
  for (std::size_t i = 0; i < N; ++i) fixed.text[i] = text[i];
  return fixed;
}

// --- the shape of the graph

template <Problem P, FixedString Step, FixedString Other>
consteval void explain_step() {
  static_assert(P != Problem::duplicate_step, "metaflow: this step is listed twice in graph()");
  static_assert(P != Problem::reserved_name,
                "metaflow: the name of this step is reserved by Metaflow (name, next, input, index, cmd)");
  static_assert(P != Problem::no_start, "metaflow: a flow needs a step named start");
  static_assert(P != Problem::no_end, "metaflow: a flow needs a step named end");
  static_assert(P != Problem::start_is_entered, "metaflow: this step leads to start, but nothing may lead to start");
  static_assert(P != Problem::end_has_transition, "metaflow: end is the last step; it has no next");
  static_assert(P != Problem::end_is_join, "metaflow: end cannot be a join; add a join step before it");
  static_assert(
      P != Problem::bad_name,
      "metaflow: the name of a step has lowercase letters, digits and underscores only, and starts with no underscore");
  static_assert(P != Problem::start_is_join, "metaflow: start cannot be a join: there is nothing before it");
  static_assert(P != Problem::join_and_split, "metaflow: a join cannot split at once; add a step after the join");
  static_assert(P != Problem::no_transition, "metaflow: this step leads nowhere; give it next, foreach or choose");
  static_assert(P != Problem::unknown_target, "metaflow: this step leads to a step that is not in graph()");
  static_assert(P != Problem::loop,
                "metaflow: the graph has a loop through this step; only a step that chooses itself may repeat");
  static_assert(P != Problem::unreachable, "metaflow: no step leads to this step");
  static_assert(P != Problem::repeated_branch, "metaflow: this step leads to the same step twice");
  static_assert(P != Problem::unjoined_split, "metaflow: this split is not joined before end; add a join step");
  static_assert(P != Problem::wrong_join_count,
                "metaflow: this join misses a branch of its split; every branch must lead to the join");
  static_assert(P != Problem::join_without_split, "metaflow: this join has no split before it");
  static_assert(P != Problem::unrelated_join,
                "metaflow: the branches that lead to this join come from different splits");
  static_assert(P != Problem::unjoined_paths,
                "metaflow: branches of a split meet in this step, which is no join; let it take mf::Inputs");
  static_assert(P != Problem::empty_foreach,
                "metaflow: this split leads straight into a join; put a step between them");
  static_assert(P != Problem::conditional_join,
                "metaflow: this choose leads straight into a join; put a step between them");
  static_assert(P != Problem::few_cases, "metaflow: choose needs two cases or more");
  static_assert(P != Problem::item_outside_foreach, "metaflow: this step takes an item but is not inside a foreach");
}

template <std::size_t N>
struct ShapeVerdict {
  Problem problem = Problem::none;
  int step = -1;
  int other = -1;
  std::array<int, N> innermost_foreach{};  // per step: the step that fans out around it, or -1
};

template <class Flow, std::size_t N>
consteval ShapeVerdict<N> judge_shape() {
  const auto nodes = nodes_of_flow<Flow>();
  const Analysis analysis = analyse(nodes);
  ShapeVerdict<N> verdict{analysis.problem, analysis.step, analysis.other, {}};
  for (std::size_t i = 0; i < N; ++i) {
    verdict.innermost_foreach[i] = -1;
    if (analysis.problem != Problem::none) continue;
    for (const OpenSplit& open : analysis.open[i]) {
      if (nodes[static_cast<std::size_t>(open.split)].transition == Transition::foreach)
        verdict.innermost_foreach[i] = open.split;
    }
  }
  return verdict;
}

template <class Flow, class... Steps>
consteval bool check_shape(Graph<Steps...>*) {
  constexpr auto kVerdict = judge_shape<Flow, sizeof...(Steps)>();
  if constexpr (kVerdict.problem == Problem::none) {
    return true;
  } else {
    constexpr std::array<std::string_view, sizeof...(Steps)> kNames{Steps::kName...};
    constexpr std::string_view kStep =
        kVerdict.step < 0 ? std::string_view() : kNames[static_cast<std::size_t>(kVerdict.step)];
    constexpr std::string_view kOther =
        kVerdict.other < 0 ? std::string_view() : kNames[static_cast<std::size_t>(kVerdict.other)];
    explain_step<kVerdict.problem, fixed<kStep.size()>(kStep), fixed<kOther.size()>(kOther)>();
    return false;
  }
}

// --- members

template <class T>
struct MemberTraits {
  using Value = T;
  static constexpr bool kTransient = false;
};
template <class T>
struct MemberTraits<const T> : MemberTraits<T> {};
template <class T>
struct MemberTraits<Transient<T>> {
  using Value = T;
  static constexpr bool kTransient = true;
};

constexpr bool reserved_artifact_name(std::string_view name) {
  // Python's keywords, which would break the whole task for the Python client, and names that Metaflow uses itself.
  for (std::string_view reserved :
       {"False",  "None",   "True",    "and",      "as",       "assert",        "async",
        "await",  "break",  "class",   "continue", "def",      "del",           "elif",
        "else",   "except", "finally", "for",      "from",     "global",        "if",
        "import", "in",     "is",      "lambda",   "nonlocal", "not",           "or",
        "pass",   "raise",  "return",  "try",      "while",    "with",          "yield",
        "name",   "index",  "input",   "next",     "cmd",      "foreach_stack", "merge_artifacts"}) {
    if (name == reserved) return true;
  }
  return false;
}

constexpr bool ascii(std::string_view name) {
  for (char c : name) {
    if (static_cast<unsigned char>(c) >= 128) return false;
  }
  return true;
}

template <class T, FixedString Name>
consteval bool check_member() {
  constexpr std::string_view kName = Name;
  if constexpr (!MemberTraits<T>::kTransient) {
    static_assert(Storable<std::remove_const_t<T>>,
                  "metaflow: this data member cannot be stored as an artifact; wrap it in mf::Transient<> if it need "
                  "not be, or give its type an mf::Codec<>");
    static_assert(!reserved_artifact_name(kName),
                  "metaflow: the name of this data member is a Python keyword or used by Metaflow, so Python could not "
                  "read it; rename it");
    static_assert(kName.empty() || kName[0] != '_',
                  "metaflow: the name of an artifact cannot start with an underscore: such names are Metaflow's own");
    static_assert(ascii(kName), "metaflow: the name of an artifact has ASCII letters, digits and underscores only");
    return Storable<std::remove_const_t<T>> && !reserved_artifact_name(kName) && kName[0] != '_' && ascii(kName);
  } else {
    return true;
  }
}

template <class Flow, class... Ts, std::size_t... I>
consteval bool check_members(TypeList<Ts...>, std::index_sequence<I...>) {
  return (check_member<Ts, fixed<kMemberNames<Flow>.names[I].size()>(kMemberNames<Flow>.names[I])>() && ...);
}

// --- steps

template <class Flow, class S>
consteval bool check_method() {
  using Traits = typename S::Traits;
  static_assert(Traits::kIsMethod, "metaflow: a step is a member function of the flow: mf::step<&Flow::name>()");
  if constexpr (Traits::kIsMethod) {
    static_assert(std::is_base_of_v<typename Traits::Class, Flow>, "metaflow: this step is a member of another flow");
    static_assert(Traits::kVoid, "metaflow: a step returns void; nobody would see what it returns");
    static_assert(Traits::Arguments::size <= 1,
                  "metaflow: a step takes nothing, the item of a foreach, or (a join) const mf::Inputs<Flow>&");
    if constexpr (S::kJoin) {
      static_assert(std::is_same_v<typename S::Argument, Inputs<Flow>>,
                    "metaflow: this join takes the inputs of another flow");
      return std::is_same_v<typename S::Argument, Inputs<Flow>> && std::is_base_of_v<typename Traits::Class, Flow> &&
             Traits::kVoid;
    }
    return std::is_base_of_v<typename Traits::Class, Flow> && Traits::kVoid && Traits::Arguments::size <= 1;
  } else {
    return false;
  }
}

/// The index of the member that this pointer names, among those of the flow; -1: none.
template <class Flow, auto Pointer>
consteval int member_index() {
  for (std::size_t i = 0; i < MemberTypes<Flow>::size; ++i) {
    if (kMemberNames<Flow>.names[i] == name_of_constant<Pointer>()) return static_cast<int>(i);
  }
  return -1;
}

template <class T>
struct PointedTo;
template <class T, class C>
struct PointedTo<T C::*> {
  using type = T;
};
template <auto Pointer>
using VariableOf = std::remove_const_t<typename PointedTo<std::remove_const_t<decltype(Pointer)>>::type>;

template <auto Pointer>
consteval bool is_data_member() {
  return std::is_member_object_pointer_v<decltype(Pointer)>;
}

template <class T>
concept Fannable = requires { typename ForeachItems<T>::Item; };

template <class Flow, class S, class T>
struct TransitionCheck {
  static consteval bool run() { return true; }
};

template <class Flow, class S, auto Variable, auto Body>
struct TransitionCheck<Flow, S, Foreach<Variable, Body>> {
  static consteval bool run() {
    static_assert(is_data_member<Variable>(),
                  "metaflow: foreach names a data member and the step that runs for each of its items");
    if constexpr (is_data_member<Variable>()) {
      using V = VariableOf<Variable>;
      static_assert(!MemberTraits<V>::kTransient,
                    "metaflow: foreach over a Transient: the tasks could not read it; make it an artifact");
      static_assert(Fannable<V> || MemberTraits<V>::kTransient,
                    "metaflow: foreach needs a range: a vector, array, list, set, map or mf::Array");
      static_assert(member_index<Flow, Variable>() >= 0,
                    "metaflow: foreach over a member that is not an artifact of this flow");
      return Fannable<V> && !MemberTraits<V>::kTransient && member_index<Flow, Variable>() >= 0;
    } else {
      return false;
    }
  }
};

template <class V>
struct ChoiceOf {
  using type = V;
};
template <class V>
struct ChoiceOf<Parameter<V>> : ChoiceOf<V> {};
template <class V>
struct ChoiceOf<Lazy<V>> : ChoiceOf<V> {};

template <class V, class C>
inline constexpr bool kCaseFits =
    std::is_same_v<V, C> || (std::integral<V> && std::integral<C> && !std::same_as<V, bool> && !std::same_as<C, bool>);
template <std::size_t N>
inline constexpr bool kCaseFits<std::string, FixedString<N>> = true;

template <class A, class B>
consteval bool same_case(const A& a, const B& b) {
  if constexpr (requires { std::string_view(a) == std::string_view(b); }) {
    return std::string_view(a) == std::string_view(b);
  } else if constexpr (std::is_same_v<A, B>) {
    return a == b;
  } else if constexpr (std::integral<A> && std::integral<B>) {
    return static_cast<long long>(a) == static_cast<long long>(b);
  } else {
    return false;
  }
}

template <class... Whens>
consteval bool distinct_cases() {
  int equal_pairs = 0;
  auto count = [&]<class W>() { ((same_case(W::kValue, Whens::kValue) ? ++equal_pairs : 0), ...); };
  (count.template operator()<Whens>(), ...);
  return equal_pairs == sizeof...(Whens);  // each equals itself only
}

template <class Flow, class S, auto Variable, class... Whens>
struct TransitionCheck<Flow, S, Choose<Variable, Whens...>> {
  static consteval bool run() {
    static_assert(
        is_data_member<Variable>(),
        "metaflow: choose names a data member and the cases: mf::choose<&Flow::kind, mf::when<1, &Flow::a>, ...>");
    if constexpr (is_data_member<Variable>()) {
      using V = typename ChoiceOf<VariableOf<Variable>>::type;
      constexpr bool kFits = (kCaseFits<V, std::remove_const_t<decltype(Whens::kValue)>> && ...);
      static_assert(kFits,
                    "metaflow: a case of this choose is not of the type of its variable, which is an enum, an integer, "
                    "bool or std::string");
      static_assert(distinct_cases<Whens...>(), "metaflow: two cases of this choose are equal");
      static_assert(member_index<Flow, Variable>() >= 0,
                    "metaflow: choose by a member that is not an artifact of this flow");
      return kFits && distinct_cases<Whens...>() && member_index<Flow, Variable>() >= 0;
    } else {
      return false;
    }
  }
};

template <class Argument, class Item>
concept Takes = std::is_same_v<Argument, Item> || requires(Item item) { Argument{std::move(item)}; };

template <class Flow, class S, class Around>
consteval bool check_item() {
  if constexpr (S::kTakesItem) {
    using Item = typename ForeachItems<VariableOf<Around::Transition::kVariable>>::Item;
    static_assert(Takes<typename S::Argument, Item>,
                  "metaflow: this step takes an argument that the items of the foreach around it do not convert to");
    return Takes<typename S::Argument, Item>;
  } else {
    return true;
  }
}

template <std::size_t I, class... Steps>
struct StepAt;
template <class First, class... Rest>
struct StepAt<0, First, Rest...> {
  using type = First;
};
template <std::size_t I, class First, class... Rest>
struct StepAt<I, First, Rest...> : StepAt<I - 1, Rest...> {};

template <class Flow, class... Steps, std::size_t... I>
consteval bool check_items(std::index_sequence<I...>) {
  constexpr auto kVerdict = judge_shape<Flow, sizeof...(Steps)>();
  return (
      check_item<Flow, Steps,
                 typename StepAt<
                     (kVerdict.innermost_foreach[I] < 0 ? 0 : static_cast<std::size_t>(kVerdict.innermost_foreach[I])),
                     Steps...>::type>() &&
      ...);
}

// --- the flow

template <class Flow>
consteval std::string_view flow_name() {
  if constexpr (requires { std::string_view(Flow::flow_name); }) {
    return Flow::flow_name;
  } else {
    constexpr std::string_view kType = spelling_of_type<Flow>();
    return identifier_before(kType, kType.size());
  }
}

constexpr bool valid_flow_name(std::string_view name) {
  if (name.size() < 2 || (name[0] >= '0' && name[0] <= '9') || !ascii(name)) return false;
  for (char c : name) {
    if (!is_identifier_char(c)) return false;
  }
  return true;
}

template <class Flow>
consteval bool is_template_instance() {
  constexpr std::string_view kType = spelling_of_type<Flow>();
  return kType.ends_with('>');
}

template <class T>
inline constexpr bool kIsGraph = false;
template <class... Steps>
inline constexpr bool kIsGraph<Graph<Steps...>> = true;

template <class Flow, class... Steps>
consteval bool check_steps(Graph<Steps...>* graph) {
  if constexpr (!(check_method<Flow, Steps>() && ...)) {
    return false;
  } else if constexpr (!(TransitionCheck<Flow, Steps, typename Steps::Transition>::run() && ...)) {
    return false;
  } else if constexpr (!check_shape<Flow>(static_cast<Graph<Steps...>*>(nullptr))) {
    return false;
  } else {
    (void)graph;
    return check_items<Flow, Steps...>(std::index_sequence_for<Steps...>{});
  }
}

/// Whether the flow is sound. If not, a static_assert has said why.
template <class Flow>
consteval bool check_flow() {
  static_assert(std::is_base_of_v<FlowSpec<Flow>, Flow>, "metaflow: a flow derives from mf::FlowSpec<itself>");
  constexpr bool kHasMembers = std::is_aggregate_v<Flow> || ListsItsMembers<Flow>;
  static_assert(kHasMembers,
                "metaflow: this flow is no aggregate (it has a constructor, private data or virtual functions); list "
                "its artifacts: static auto artifacts() { return mf::members<&F::a, &F::b>; }");
  static_assert(std::is_default_constructible_v<Flow>,
                "metaflow: a flow is made without arguments; give its members initial values");
  constexpr bool kHasGraph = requires { Flow::graph(); };
  static_assert(kHasGraph,
                "metaflow: a flow needs static auto graph() { return mf::graph(mf::step<&F::start>(...), ...); }");
  if constexpr (kHasGraph && kHasMembers && std::is_default_constructible_v<Flow>) {
    static_assert(kIsGraph<GraphOf<Flow>>, "metaflow: graph() returns what mf::graph(...) makes");
    constexpr bool kNamed = !is_template_instance<Flow>() || requires { std::string_view(Flow::flow_name); };
    static_assert(kNamed,
                  "metaflow: a flow that is a template needs a name: static constexpr auto flow_name = \"...\"");
    if constexpr (kNamed)
      static_assert(valid_flow_name(flow_name<Flow>()),
                    "metaflow: the name of a flow is an identifier of two letters or more");
    if constexpr (!check_members<Flow>(MemberTypes<Flow>{}, std::make_index_sequence<MemberTypes<Flow>::size>{})) {
      return false;
    } else if constexpr (kIsGraph<GraphOf<Flow>>) {
      return check_steps<Flow>(static_cast<GraphOf<Flow>*>(nullptr));
    }
  }
  return false;
}

}  // namespace metaflow::detail
