// Checks each step of a flow on its own (check.h).
#pragma once

#include <metaflow/detail/check_members.h>

namespace metaflow::detail {

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
  std::string_view other{};  // the member or step concerned
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

template <class L>
inline constexpr bool kIsLabel = std::is_same_v<L, DefaultLabel>;
template <auto Callable>
inline constexpr bool kIsLabel<Label<Callable>> = true;

/// The value of a label's callable: a member of the item, or a function of it.
template <auto Callable, class Item>
  requires(std::is_member_object_pointer_v<decltype(Callable)> && requires(const Item& item) { item.*Callable; })
decltype(auto) call_label(const Item& item) {
  return item.*Callable;
}
template <auto Callable, class Item>
  requires(std::is_member_function_pointer_v<decltype(Callable)> && requires(const Item& item) { (item.*Callable)(); })
decltype(auto) call_label(const Item& item) {
  return (item.*Callable)();
}
template <auto Callable, class Item>
  requires(requires(const Item& item) { Callable(item); })
decltype(auto) call_label(const Item& item) {
  return Callable(item);
}

template <class T>
concept LabelText = std::is_arithmetic_v<std::remove_cvref_t<T>> || std::is_constructible_v<std::string, T>;

template <class L, class Item>
inline constexpr bool kLabelFits = true;
template <auto Callable, class Item>
inline constexpr bool kLabelFits<Label<Callable>, Item> = [] {
  if constexpr (requires(const Item& item) { call_label<Callable>(item); }) {
    return LabelText<decltype(call_label<Callable>(std::declval<const Item&>()))>;
  } else {
    return false;
  }
}();

template <class Flow, auto Variable, auto Body, class L>
struct TransitionCheck<Flow, Foreach<Variable, Body, L>> {
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
    } else if constexpr (!kIsLabel<L>) {
      return {StepMistake::no_label, kName};
    } else if constexpr (!kLabelFits<L, typename ForeachItems<VariableOf<Variable>>::Item>) {
      return {StepMistake::bad_label, kName};
    } else {
      return {};
    }
  }
};

/// The value that choose compares: a member itself, or the value of a Parameter or Lazy.
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
  auto count = [&]<class W> { ((same_case(W::kValue, Whens::kValue) ? ++equal_pairs : 0), ...); };
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

}  // namespace metaflow::detail
