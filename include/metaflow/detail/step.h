// The types behind mf::step and mf::graph.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <metaflow/detail/decorator.h>
#include <metaflow/detail/reflect.h>
#include <metaflow/detail/shape.h>

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

/// Identifies a step: overloads have the same name. Not an address (with g++'s -fsanitize=undefined the comparison of
/// two addresses is not a constant), but the text of method and type.
struct StepKey {
  std::string_view name;
  std::string_view text;
  unsigned long hash;  // of the name

  constexpr bool operator==(const StepKey& other) const {
    return hash == other.hash && name == other.name && text == other.text;
  }
};
using StepId = const StepKey*;

template <auto Method, class Type = decltype(Method)>
consteval auto text_of_method() {
  std::string_view text = __PRETTY_FUNCTION__;
  return text;
}
template <auto Method>
inline constexpr StepKey kStepKey{name_of_constant<Method>(), text_of_method<Method>(),
                                  hash_of_name(name_of_constant<Method>())};

// --- transitions: next, foreach, choose

struct AnyTransition {};

template <auto... Steps>
struct Next : AnyTransition {
  static constexpr Transition kKind = sizeof...(Steps) == 1 ? Transition::linear : Transition::split;
  static constexpr int kTargetCount = sizeof...(Steps);
  static constexpr StepId kTargets[sizeof...(Steps) + 1] = {&kStepKey<Steps>..., nullptr};
};

/// The label of an item: the value of a callable.
template <auto Callable>
struct Label {
  static constexpr auto kCallable = Callable;
};
struct DefaultLabel {};

template <auto Variable, auto Body, class L = DefaultLabel>
struct Foreach : AnyTransition {
  static constexpr Transition kKind = Transition::foreach;
  static constexpr int kTargetCount = 1;
  static constexpr StepId kTargets[] = {&kStepKey<Body>};
  static constexpr auto kVariable = Variable;
  using ItemLabel = L;
};

template <Case Value, auto Step>
struct When {
  static constexpr auto kValue = Value.value;
  static constexpr StepId kTarget = &kStepKey<Step>;
  static constexpr bool kLeadsToMethod = std::is_member_function_pointer_v<decltype(Step)>;
};

template <auto Variable, class... Whens>
struct Choose : AnyTransition {
  static constexpr Transition kKind = Transition::choose;
  static constexpr int kTargetCount = sizeof...(Whens);
  static constexpr StepId kTargets[sizeof...(Whens) + 1] = {Whens::kTarget..., nullptr};
  static constexpr auto kVariable = Variable;
};

struct NoTransition : AnyTransition {
  static constexpr Transition kKind = Transition::none;
  static constexpr int kTargetCount = 0;
  static constexpr StepId kTargets[] = {nullptr};
};

template <class T>
concept IsTransition = std::is_base_of_v<AnyTransition, T>;

template <class... Parts>
struct TransitionOf {
  using type = NoTransition;
};
template <class First, class... Rest>
struct TransitionOf<First, Rest...> : TransitionOf<Rest...> {};
template <IsTransition First, class... Rest>
struct TransitionOf<First, Rest...> {
  using type = First;
};

// --- methods

/// The parts of a pointer to member function.
template <class T>
struct MethodTraits {
  static constexpr bool kIsMethod = false;
  using Class = void;
  using Result = void;
  using Arguments = TypeList<>;
};
template <class R, class C, class... A>
struct MethodTraits<R (C::*)(A...)> {
  static constexpr bool kIsMethod = true;
  using Class = C;
  using Result = R;
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

/// The parameter of a step's method, as declared ("const T&"): none, the item of a foreach, or the inputs of a join.
template <class List>
struct ParameterOf {
  using type = void;
};
template <class A>
struct ParameterOf<TypeList<A>> {
  using type = A;
};

// --- steps and graphs

/// The run-time values of a step: its description and decorators. All code is in the library.
class StepAnnotations {
 public:
  StepAnnotations();
  StepAnnotations(StepAnnotations&& other) noexcept;
  StepAnnotations(const StepAnnotations&) = delete;
  StepAnnotations& operator=(const StepAnnotations&) = delete;
  ~StepAnnotations();

  void add(Decorator decorator);
  void describe(std::string&& words);

  const std::string& doc() const { return doc_; }
  const std::vector<Decorator>& decorators() const { return decorators_; }

 private:
  std::string doc_;
  std::vector<Decorator> decorators_;
};

inline void add_part(StepAnnotations&, const AnyTransition&) {}  // it is part of the type
void add_part(StepAnnotations& annotations, doc& part);
template <DecoratorStruct D>
void add_part(StepAnnotations& annotations, const D& decorator) {
  annotations.add(make_decorator(decorator));
}

template <class T, class... Ts>
inline constexpr bool kOccursOnce = (std::is_same_v<T, Ts> + ... + 0) == 1;

template <class T>
concept IsPart = IsTransition<T> || std::is_same_v<T, doc> || DecoratorStruct<T>;

template <auto Method, class T>
struct Step {
  static constexpr auto kMethod = Method;
  static constexpr StepId kId = &kStepKey<Method>;
  using Transition = T;
  using Traits = MethodTraits<std::remove_const_t<decltype(Method)>>;
  using Parameter = typename ParameterOf<typename Traits::Arguments>::type;
  using Argument = std::remove_cvref_t<Parameter>;
  static constexpr bool kJoin = kIsInputs<Argument>;
  static constexpr bool kTakesItem = !kJoin && !std::is_void_v<Argument>;

  StepAnnotations annotations;
};

/// The result of a mistake for which a static_assert has failed.
struct NotAStep {};
struct NotAGraph {};

template <auto Method>
struct StepMaker {
  template <class... Parts>
  auto operator()(Parts... parts) const {
    constexpr bool kOneTransition = (IsTransition<Parts> + ... + 0) <= 1;
    constexpr bool kPartsOnly = (IsPart<Parts> && ...);
    static_assert(kOneTransition, "metaflow: a step has one transition: next, foreach or choose");
    constexpr bool kPartsOnce = (kOccursOnce<Parts, Parts...> && ...);
    static_assert(kPartsOnly, "metaflow: a step is given its transition, decorators and mf::doc, nothing else");
    static_assert(kPartsOnce || !kOneTransition, "metaflow: a step has a decorator twice; merge both into one");
    if constexpr (kOneTransition && kPartsOnly && kPartsOnce) {
      Step<Method, typename TransitionOf<Parts...>::type> made;
      (add_part(made.annotations, parts), ...);
      return made;
    } else {
      return NotAStep{};
    }
  }
};

/// The Step that an argument of mf::graph stands for: the result of a call, or mf::step<&F::name> without one.
template <class T>
struct StepOf {
  using type = void;
};
template <auto Method, class T>
struct StepOf<Step<Method, T>> {
  using type = Step<Method, T>;
};
template <auto Method>
struct StepOf<StepMaker<Method>> {
  using type = Step<Method, NoTransition>;
};
template <>
struct StepOf<NotAStep> {
  using type = NotAStep;
};

template <auto Method, class T>
StepAnnotations* step_annotations(Step<Method, T>& step) {
  return &step.annotations;
}
template <auto Method>
StepAnnotations* step_annotations(StepMaker<Method>&) {
  return nullptr;
}

/// The annotations of the steps of a graph, in their order. All code is in the library.
class GraphAnnotations {
 public:
  /// Moves from them; null: a step without annotations.
  explicit GraphAnnotations(std::initializer_list<StepAnnotations*> steps);
  GraphAnnotations(GraphAnnotations&& other) noexcept;
  ~GraphAnnotations();
  const std::vector<StepAnnotations>& steps() const { return steps_; }

 private:
  std::vector<StepAnnotations> steps_;
};

template <class... Steps>
struct Graph : GraphAnnotations {
  static constexpr int kSize = sizeof...(Steps);
  static constexpr int kTargetCount = (Steps::Transition::kTargetCount + ... + 0);
  using GraphAnnotations::GraphAnnotations;
};

/// decltype(Flow::graph()), without calling it.
template <class Flow>
using GraphOf = std::remove_cvref_t<decltype(Flow::graph())>;

/// Writes the i-th step of a graph into its shape; finds its targets among the steps.
struct ShapeWriter {
  ShapeStep* step;
  int* target;
  const StepId* ids;
  int size;
  int targets_so_far = 0;

  constexpr void add(ShapeStep described, const StepId* targets, int count) {
    described.first_target = targets_so_far;
    described.target_count = count;
    *step++ = described;
    for (int t = 0; t < count; ++t) *target++ = find(targets[t]);
    targets_so_far += count;
  }
  constexpr int find(StepId id) const {
    for (int i = 0; i < size; ++i) {
      if (*ids[i] == *id) return i;
    }
    return kUnknownStep;
  }
};

template <class... Steps>
consteval auto shape_of(const Graph<Steps...>*) {
  Shape<sizeof...(Steps), (Steps::Transition::kTargetCount + ... + 0)> shape;
  const StepId ids[] = {Steps::kId..., nullptr};
  [[maybe_unused]] ShapeWriter writer{shape.steps, shape.targets, ids, sizeof...(Steps)};
  (writer.add({Steps::kId->name, Steps::kId->hash, Steps::Transition::kKind, Steps::kJoin, Steps::kTakesItem},
              Steps::Transition::kTargets, Steps::Transition::kTargetCount),
   ...);
  shape.verdict =
      Analyser(shape.steps, sizeof...(Steps), shape.targets, shape.order, shape.around, shape.joined_by).run();
  return shape;
}

template <class Flow>
inline constexpr auto kShape = shape_of(static_cast<const GraphOf<Flow>*>(nullptr));

}  // namespace detail
}  // namespace metaflow
