// The types that mf::step and mf::graph are made of.
#pragma once

#include <metaflow/detail/decorator.h>
#include <metaflow/detail/reflect.h>
#include <metaflow/detail/shape.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace metaflow {

template <class Flow>
class Inputs;
struct doc;

namespace detail {

/// A text as a template argument.
template <std::size_t N>
struct FixedString {
  char text[N]{};
  constexpr FixedString() = default;
  constexpr FixedString(const char (&literal)[N]) {
    for (std::size_t i = 0; i < N; ++i) text[i] = literal[i];
  }
  constexpr operator std::string_view() const { return {text, N - 1}; }
};

/// A case of choose as a template argument: an enumerator, an integer, a bool or a text.
template <class T>
struct Case {
  T value;
  constexpr Case(T v) : value(v) {}
};
template <std::size_t N>
struct Case<FixedString<N>> {
  FixedString<N> value;
  constexpr Case(const char (&literal)[N]) : value(literal) {}
};
template <class T>
Case(T) -> Case<T>;
template <std::size_t N>
Case(const char (&)[N]) -> Case<FixedString<N>>;

// --- transitions: next, foreach, choose

template <auto... Steps>
struct Next {
  static constexpr Transition kKind = sizeof...(Steps) == 1 ? Transition::linear : Transition::split;
  template <class Find>
  static constexpr std::vector<int> targets(Find find) {
    return {find.template operator()<Steps>()...};
  }
};

template <auto Variable, auto Body>
struct Foreach {
  static constexpr Transition kKind = Transition::foreach;
  static constexpr auto kVariable = Variable;
  template <class Find>
  static constexpr std::vector<int> targets(Find find) {
    return {find.template operator()<Body>()};
  }
};

template <Case Value, auto Step>
struct When {
  static constexpr auto kValue = Value.value;
  static constexpr auto kStep = Step;
};

template <auto Variable, class... Whens>
struct Choose {
  static constexpr Transition kKind = Transition::choose;
  static constexpr auto kVariable = Variable;
  template <class Find>
  static constexpr std::vector<int> targets(Find find) {
    return {find.template operator()<Whens::kStep>()...};
  }
};

struct NoTransition {
  static constexpr Transition kKind = Transition::none;
  template <class Find>
  static constexpr std::vector<int> targets(Find) {
    return {};
  }
};

template <class T>
inline constexpr int kIsTransition = 0;
template <auto... Steps>
inline constexpr int kIsTransition<Next<Steps...>> = 1;
template <auto Variable, auto Body>
inline constexpr int kIsTransition<Foreach<Variable, Body>> = 1;
template <auto Variable, class... Whens>
inline constexpr int kIsTransition<Choose<Variable, Whens...>> = 1;

template <class... Parts>
struct TransitionOf {
  using type = NoTransition;
};
template <class First, class... Rest>
struct TransitionOf<First, Rest...> {
  using type = typename TransitionOf<Rest...>::type;
};
template <class First, class... Rest>
  requires(kIsTransition<First> == 1)
struct TransitionOf<First, Rest...> {
  using type = First;
};

// --- methods

/// The parts of a pointer to member function.
template <class T>
struct MethodTraits {
  static constexpr bool kIsMethod = false;
};
template <class R, class C, class... A>
struct MethodTraits<R (C::*)(A...)> {
  static constexpr bool kIsMethod = true;
  static constexpr bool kVoid = std::is_void_v<R>;
  using Class = C;
  using Arguments = TypeList<A...>;
};
template <class R, class C, class... A>
struct MethodTraits<R (C::*)(A...) const> : MethodTraits<R (C::*)(A...)> {};
template <class R, class C, class... A>
struct MethodTraits<R (C::*)(A...) noexcept> : MethodTraits<R (C::*)(A...)> {};
template <class R, class C, class... A>
struct MethodTraits<R (C::*)(A...) const noexcept> : MethodTraits<R (C::*)(A...)> {};

template <class T>
inline constexpr bool kIsInputs = false;
template <class F>
inline constexpr bool kIsInputs<Inputs<F>> = true;

/// What a step's method takes besides the flow: nothing, the item of a foreach, or the inputs of a join.
template <class List>
struct ArgumentOf {
  using type = void;
};
template <class A>
struct ArgumentOf<TypeList<A>> {
  using type = std::remove_cvref_t<A>;
};

// --- steps and graphs

/// What a step says at run time: the values in it.
struct StepSayings {
  std::vector<Decorator> decorators;
  std::string doc;
};

template <auto Method, class T>
struct Step {
  static constexpr auto kMethod = Method;
  using Transition = T;
  using Traits = MethodTraits<decltype(Method)>;
  using Argument = typename ArgumentOf<typename Traits::Arguments>::type;
  static constexpr bool kJoin = kIsInputs<Argument>;
  static constexpr bool kTakesItem = !kJoin && !std::is_void_v<Argument>;
  static constexpr std::string_view kName = name_of_constant<Method>();

  template <class Part>
  void add(Part part) {
    if constexpr (kIsTransition<Part> == 1) {
      // in the type
    } else if constexpr (std::is_same_v<Part, doc>) {
      said.doc = std::move(part.text);
    } else {
      static_assert(DecoratorStruct<Part>,
                    "metaflow: a step is given its transition, decorators and mf::doc, nothing else");
      said.decorators.push_back(make_decorator(part));
    }
  }

  StepSayings said;
};

template <class... Steps>
struct Graph {
  std::vector<StepSayings> said;
};

/// The index of the step that is this method.
template <class... Steps>
struct FindStep {
  template <auto Method>
  constexpr int operator()() const {
    int found = kUnknownStep;
    int i = 0;
    ((is<Method, Steps>()&& found == kUnknownStep ? found = i : 0, ++i), ...);
    return found;
  }

  template <auto Method, class S>
  static constexpr bool is() {
    if constexpr (std::is_same_v<decltype(Method), std::remove_const_t<decltype(S::kMethod)>>) {
      return Method == S::kMethod;
    } else {
      return false;
    }
  }
};

template <class... Steps>
constexpr std::vector<Node> nodes_of(Graph<Steps...>*) {
  return {Node{Steps::kName, Steps::Transition::kKind, Steps::Transition::targets(FindStep<Steps...>{}), Steps::kJoin,
               Steps::kTakesItem}...};
}

/// decltype(Flow::graph()), without calling it.
template <class Flow>
using GraphOf = decltype(Flow::graph());

template <class Flow>
constexpr std::vector<Node> nodes_of_flow() {
  return nodes_of(static_cast<GraphOf<Flow>*>(nullptr));
}

}  // namespace detail
}  // namespace metaflow
