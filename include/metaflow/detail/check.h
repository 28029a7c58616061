// Looks at compile time for what is wrong with a flow, from the outside in: the class, its members, its steps, the
// graph, the items of its foreachs. The first finding is said (sentences.h) and ends the search: what comes after it
// would be noise.
#pragma once

#include <metaflow/array.h>
#include <metaflow/artifact.h>
#include <metaflow/codec.h>
#include <metaflow/detail/sentences.h>
#include <metaflow/detail/step.h>
#include <metaflow/parameter.h>

#include <type_traits>

namespace metaflow {

template <class Flow>
struct FlowSpec;

namespace detail {

/// A name that is to stand in a message.
template <std::size_t N>
consteval FixedString<N + 1> fixed(std::string_view text) {
  FixedString<N + 1> fixed;
  for (std::size_t i = 0; i < N; ++i) fixed.text[i] = text[i];
  // Compilers write such an argument as numbers, and not as text, unless its end has been assigned and all is ASCII.
  fixed.text[N] = '\0';
  for (char& c : fixed.text) {
    if (static_cast<unsigned char>(c) >= 128) c = '?';
  }
  return fixed;
}

template <std::size_t I, class First, class... Rest>
struct TypeAt : TypeAt<I - 1, Rest...> {};
template <class First, class... Rest>
struct TypeAt<0, First, Rest...> {
  using type = First;
};

template <class T>
struct PointedTo {
  using type = void;
  using Class = void;
};
template <class T, class C>
struct PointedTo<T C::*> {
  using type = T;
  using Class = C;
};

/// Whether a pointer to member is one to something that the flow has.
template <class Flow, class Class>
concept IsOf = std::is_base_of_v<Class, Flow>;

// --- the class

template <class Flow>
consteval std::string_view flow_name() {
  if constexpr (requires { std::string_view(Flow::flow_name); }) {
    return Flow::flow_name;
  } else {
    constexpr std::string_view kType = spelling_of_type<Flow>();
    return identifier_before(kType, kType.size());
  }
}

constexpr bool ascii(std::string_view name) {
  for (char c : name) {
    if (static_cast<unsigned char>(c) >= 128) return false;
  }
  return true;
}

constexpr bool valid_flow_name(std::string_view name) {
  if (name.size() < 2 || (name[0] >= '0' && name[0] <= '9') || !ascii(name)) return false;
  for (char c : name) {
    if (!is_identifier_char(c)) return false;
  }
  return true;
}

template <class Flow>
consteval bool has_name() {
  constexpr std::string_view kType = spelling_of_type<Flow>();
  return !kType.ends_with('>') || requires { std::string_view(Flow::flow_name); };
}

template <class T>
inline constexpr bool kIsGraph = false;
template <class... Steps>
inline constexpr bool kIsGraph<Graph<Steps...>> = true;

template <class Flow, class List>
inline constexpr bool kListsMembers = false;
template <class Flow, auto... Pointers>
  requires(std::is_member_object_pointer_v<decltype(Pointers)> && ...) &&
              (IsOf<Flow, typename PointedTo<decltype(Pointers)>::Class> && ...)
inline constexpr bool kListsMembers<Flow, Members<Pointers...>> = true;

template <class Flow>
consteval FlowMistake mistake_of_members() {
  if constexpr (ListsItsMembers<Flow>) {
    return kListsMembers<Flow, ListedMembers<Flow>> ? FlowMistake::none : FlowMistake::bad_list;
  } else {
    switch (kLayout<Flow>.obstacle) {
      case Obstacle::too_many: return FlowMistake::too_many_members;
      case Obstacle::reference: return FlowMistake::reference;
      case Obstacle::base_with_data: return FlowMistake::base_with_data;
      case Obstacle::none: break;
    }
    return FlowMistake::none;
  }
}

template <class Flow>
consteval FlowMistake mistake_of_flow() {
  if constexpr (!std::is_convertible_v<Flow*, FlowSpec<Flow>*>) {
    return FlowMistake::not_derived;
  } else if constexpr (!std::is_aggregate_v<Flow> && !ListsItsMembers<Flow>) {
    return FlowMistake::no_aggregate;
  } else if constexpr (!requires { Flow{}; }) {
    return FlowMistake::not_default;
  } else if constexpr (mistake_of_members<Flow>() != FlowMistake::none) {
    return mistake_of_members<Flow>();
  } else if constexpr (!has_name<Flow>()) {
    return FlowMistake::unnamed_template;
  } else if constexpr (!valid_flow_name(flow_name<Flow>())) {
    return FlowMistake::bad_name;
  } else if constexpr (!requires { Flow::graph(); }) {
    return FlowMistake::no_graph;
  } else if constexpr (!kIsGraph<GraphOf<Flow>> && !std::is_same_v<GraphOf<Flow>, NotAGraph>) {
    return FlowMistake::foreign_graph;
  } else {
    return FlowMistake::none;
  }
}

// --- members

template <class T>
inline constexpr bool kIsArray = false;
template <class T>
inline constexpr bool kIsArray<Array<T>> = true;

template <class T>
struct Unwrapped {
  using type = T;
};
template <class T>
struct Unwrapped<Parameter<T>> {
  using type = T;
};
template <class T>
struct Unwrapped<Lazy<T>> {
  using type = T;
};

template <class T>
struct Reason {
  using type = T;
};

template <class T>
consteval auto find_culprit();
template <class Whole, class... Parts>
consteval auto first_culprit(TypeList<Parts...>) {
  return Reason<Whole>{};
}
template <class Whole, class First, class... Rest>
consteval auto first_culprit(TypeList<First, Rest...>) {
  if constexpr (!Storable<First>) {
    return find_culprit<First>();
  } else {
    return first_culprit<Whole>(TypeList<Rest...>{});
  }
}

/// The part of a type that cannot be stored which is the reason why it cannot be.
template <class T>
consteval auto find_culprit() {
  if constexpr (!std::is_same_v<T, typename Unwrapped<T>::type>) {
    return find_culprit<typename Unwrapped<T>::type>();
  } else if constexpr (MapLike<T>) {
    return first_culprit<T>(TypeList<typename T::key_type, typename T::mapped_type>{});
  } else if constexpr (Iterable<T> || OptionalLike<T>) {
    return first_culprit<T>(TypeList<typename T::value_type>{});
  } else if constexpr (PlainAggregate<T> || ListsItsMembers<T>) {
    return first_culprit<T>(MemberTypes<T>{});
  } else {
    return Reason<T>{};
  }
}
template <class T>
using Culprit = typename decltype(find_culprit<std::remove_const_t<T>>())::type;

template <class T>
consteval MemberMistake mistake_of_type() {
  if constexpr (kIsTransient<T> || Storable<std::remove_const_t<T>>) {
    return MemberMistake::none;
  } else {
    using C = Culprit<T>;
    if constexpr (std::is_array_v<C>) {
      return MemberMistake::c_array;
    } else if constexpr (kIsArray<C>) {
      return MemberMistake::array_element;
    } else if constexpr (kHasTwinAlternatives<C>) {
      return MemberMistake::alternatives;
    } else if constexpr (std::is_aggregate_v<C>) {
      return kLayout<C>.obstacle == Obstacle::too_many ? MemberMistake::too_many_members : MemberMistake::unstorable;
    } else {
      return MemberMistake::unstorable;
    }
  }
}

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

template <class T>
inline constexpr bool kIsParameter = false;
template <class T>
inline constexpr bool kIsParameter<Parameter<T>> = true;

constexpr MemberMistake mistake_of_name(std::string_view name) {
  if (reserved_artifact_name(name)) return MemberMistake::reserved_name;
  if (name[0] == '_') return MemberMistake::underscore;
  if (!ascii(name)) return MemberMistake::not_ascii;
  return MemberMistake::none;
}

struct MemberFinding {
  MemberMistake mistake = MemberMistake::none;
  std::size_t member = 0;
};

template <class Flow, class... Ts>
consteval MemberFinding find_member_mistake(TypeList<Ts...>) {
  const MemberMistake types[] = {mistake_of_type<Ts>()..., MemberMistake::none};
  const bool transient[] = {kIsTransient<Ts>..., false};
  const bool parameter[] = {kIsParameter<std::remove_const_t<Ts>>..., false};
  for (std::size_t i = 0; i < sizeof...(Ts); ++i) {
    const MemberMistake of_name = mistake_of_name(kMemberNames<Flow>.names[i]);
    if (types[i] != MemberMistake::none) return {types[i], i};
    if (!transient[i] && of_name != MemberMistake::none) return {of_name, i};
    if (parameter[i] && reserved_option_name(kMemberNames<Flow>.names[i])) return {MemberMistake::reserved_option, i};
  }
  return {};
}

template <class Flow, class... Ts>
consteval bool check_members(TypeList<Ts...> types) {
  constexpr MemberFinding kFound = find_member_mistake<Flow>(types);
  if constexpr (kFound.mistake == MemberMistake::none) {
    return true;
  } else {
    constexpr std::string_view kName = kMemberNames<Flow>.names[kFound.member];
    using Type = typename TypeAt<kFound.member, Ts...>::type;
    return wrong_member<kFound.mistake, fixed<kName.size()>(kName), Type, Culprit<Type>>();
  }
}

/// The index of the member that this pointer names, among those of the flow; -1: none.
template <class Flow, auto Pointer>
consteval int member_index() {
  if constexpr (IsOf<Flow, typename PointedTo<std::remove_const_t<decltype(Pointer)>>::Class>) {
    constexpr std::string_view kName = name_of_constant<Pointer>();
    for (std::size_t i = 0; i < MemberTypes<Flow>::size; ++i) {
      if (kMemberNames<Flow>.names[i] == kName) return static_cast<int>(i);
    }
  }
  return -1;
}

// --- steps

template <auto Pointer>
inline constexpr bool kIsMethod = MethodTraits<std::remove_const_t<decltype(Pointer)>>::kIsMethod;
template <auto Pointer>
inline constexpr bool kIsData = std::is_member_object_pointer_v<decltype(Pointer)>;
template <auto Pointer>
using VariableOf = std::remove_const_t<typename PointedTo<std::remove_const_t<decltype(Pointer)>>::type>;

template <class Flow, class S>
consteval StepMistake mistake_of_method() {
  using Traits = typename S::Traits;
  if constexpr (!Traits::kIsMethod) {
    return StepMistake::no_method;
  } else if constexpr (!IsOf<Flow, typename Traits::Class>) {
    return StepMistake::foreign_method;
  } else if constexpr (!std::is_void_v<typename Traits::Result>) {
    return StepMistake::returns_value;
  } else if constexpr (Traits::Arguments::size > 1) {
    return StepMistake::many_arguments;
  } else if constexpr (S::kJoin && !std::is_same_v<typename S::Argument, Inputs<Flow>>) {
    return StepMistake::foreign_inputs;
  } else {
    return StepMistake::none;
  }
}

struct StepFinding {
  StepMistake mistake = StepMistake::none;
  std::string_view other{};  // the member or step that it is about
  std::size_t step = 0;
};

template <class Flow, class T>
struct TransitionCheck {
  static consteval StepFinding find() { return {}; }
};

template <class Flow, auto... Steps>
struct TransitionCheck<Flow, Next<Steps...>> {
  static consteval StepFinding find() {
    StepFinding found;
    ((!kIsMethod<Steps> ? void(found = {StepMistake::no_target, kStepKey<Steps>.name}) : void()), ...);
    return found;
  }
};

template <class Flow, auto Variable, auto Body>
struct TransitionCheck<Flow, Foreach<Variable, Body>> {
  static consteval StepFinding find() {
    constexpr std::string_view kName = name_of_constant<Variable>();
    if constexpr (!kIsData<Variable> || !kIsMethod<Body>) {
      return {StepMistake::bad_foreach, kName};
    } else if constexpr (kIsTransient<VariableOf<Variable>>) {
      return {StepMistake::transient_range, kName};
    } else if constexpr (!Fannable<VariableOf<Variable>>) {
      return {StepMistake::no_range, kName};
    } else if constexpr (member_index<Flow, Variable>() < 0) {
      return {StepMistake::no_artifact, kName};
    } else {
      return {};
    }
  }
};

/// What choose looks at: a member itself, or the value of a Parameter or Lazy.
template <class V>
struct ChoiceOf {
  using type = V;
  static const V& of(const V& value) { return value; }
};
template <class V>
struct ChoiceOf<Parameter<V>> {
  using type = V;
  static const V& of(const Parameter<V>& value) { return *value; }
};
template <class V>
struct ChoiceOf<Lazy<V>> {
  using type = V;
  static const V& of(const Lazy<V>& value) { return *value; }
};

template <class T>
inline constexpr bool kIsWhen = false;
template <Case Value, auto Step>
inline constexpr bool kIsWhen<When<Value, Step>> = true;

template <class V, class C>
inline constexpr bool kCaseFits =
    std::is_same_v<V, C> || (std::integral<V> && std::integral<C> && !std::same_as<V, bool> && !std::same_as<C, bool>);
template <std::size_t N>
inline constexpr bool kCaseFits<std::string, FixedString<N>> = true;

template <class T>
consteval bool negative([[maybe_unused]] T value) {
  if constexpr (std::is_signed_v<T>) {
    return value < 0;
  } else {
    return false;
  }
}

template <class A, class B>
consteval bool same_case(const A& a, const B& b) {
  if constexpr (requires { std::string_view(a) == std::string_view(b); }) {
    return std::string_view(a) == std::string_view(b);
  } else if constexpr (std::is_same_v<A, B>) {
    return a == b;
  } else {
    using Widest = unsigned long long;
    return negative(a) == negative(b) && static_cast<Widest>(a) == static_cast<Widest>(b);
  }
}

template <class... Whens>
consteval bool distinct_cases() {
  std::size_t equal_pairs = 0;
  auto count = [&]<class W>() { ((same_case(W::kValue, Whens::kValue) ? ++equal_pairs : 0), ...); };
  (count.template operator()<Whens>(), ...);
  return equal_pairs == sizeof...(Whens);  // each equals itself only
}

template <class Flow, auto Variable, class... Whens>
struct TransitionCheck<Flow, Choose<Variable, Whens...>> {
  static consteval StepFinding find() {
    constexpr std::string_view kName = name_of_constant<Variable>();
    if constexpr (!kIsData<Variable> || !(kIsWhen<Whens> && ...)) {
      return {StepMistake::bad_choose, kName};
    } else {
      using V = typename ChoiceOf<VariableOf<Variable>>::type;
      if constexpr (!std::is_enum_v<V> && !std::integral<V> && !std::is_same_v<V, std::string>) {
        return {StepMistake::no_choice, kName};
      } else if constexpr (!(Whens::kLeadsToMethod && ...)) {
        return {StepMistake::no_target, kName};
      } else if constexpr (!(kCaseFits<V, std::remove_const_t<decltype(Whens::kValue)>> && ...)) {
        return {StepMistake::case_type, kName};
      } else if constexpr (!distinct_cases<Whens...>()) {
        return {StepMistake::equal_cases, kName};
      } else if constexpr (member_index<Flow, Variable>() < 0) {
        return {StepMistake::no_artifact, kName};
      } else {
        return {};
      }
    }
  }
};

template <class Flow, class... Steps>
consteval StepFinding find_step_mistake(const Graph<Steps...>*) {
  const StepFinding methods[] = {StepFinding{mistake_of_method<Flow, Steps>(), {}}..., {}};
  const StepFinding transitions[] = {TransitionCheck<Flow, typename Steps::Transition>::find()..., {}};
  for (const StepFinding* found : {methods, transitions}) {
    for (std::size_t i = 0; i < sizeof...(Steps); ++i) {
      if (found[i].mistake != StepMistake::none) return {found[i].mistake, found[i].other, i};
    }
  }
  return {};
}

template <class Flow, class... Steps>
consteval bool check_steps(const Graph<Steps...>*) {
  constexpr StepFinding kFound = find_step_mistake<Flow>(static_cast<const Graph<Steps...>*>(nullptr));
  if constexpr (kFound.mistake == StepMistake::none) {
    return true;
  } else {
    using S = typename TypeAt<kFound.step, Steps...>::type;
    return wrong_step<kFound.mistake, fixed<S::kId->name.size()>(S::kId->name),
                      fixed<kFound.other.size()>(kFound.other), TypeList<typename S::Traits::Arguments>>();
  }
}

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

/// The type of the items of the innermost foreach around the I-th step, if it takes one.
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

/// Whether an item is taken as this argument without loss: not a double as an int; an int as a double if its bits fit.
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

/// Whether the flow is sound. If not, a static_assert has said why.
template <class Flow>
consteval bool check_flow() {
  constexpr FlowMistake kMistake = mistake_of_flow<Flow>();
  if constexpr (kMistake == FlowMistake::bad_name) {
    constexpr std::string_view kName = flow_name<Flow>();
    return wrong_flow<kMistake, Flow, fixed<kName.size()>(kName)>();
  } else if constexpr (kMistake != FlowMistake::none) {
    return wrong_flow<kMistake, Flow, "">();
  } else if constexpr (!kIsGraph<GraphOf<Flow>>) {
    return false;  // mf::graph has said why
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

}  // namespace detail
}  // namespace metaflow
