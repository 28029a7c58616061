// Turns a flow into its FlowDescription: the only place where a flow's types meet the library.
#pragma once

#include <metaflow/detail/check.h>
#include <metaflow/detail/description.h>
#include <metaflow/inputs.h>

#include <memory>

namespace metaflow::detail {

template <class T>
struct ParameterTable {
  static constexpr const ParameterOps* value = nullptr;
};
template <class T>
struct ListItem {
  static constexpr ParameterType value = ParameterType::text;
};
template <class T>
  requires(ParameterTypeOf<T>::value == ParameterType::list && !OptionalLike<T>)
struct ListItem<T> {
  static constexpr ParameterType value = ParameterTypeOf<typename T::value_type>::value;
};
template <class T>
  requires(OptionalLike<T>)
struct ListItem<T> : ListItem<typename T::value_type> {};

template <class T>
struct ParameterTable<Parameter<T>> {
  static constexpr ParameterOps table{
      ParameterTypeOf<T>::value,
      ListItem<T>::value,
      OptionalLike<T>,
      [](const void* member) -> const ParameterBase& {
        return ParameterAccess<T>::base(*static_cast<const Parameter<T>*>(member));
      },
  };
  static constexpr const ParameterOps* value = &table;
};

template <class T>
struct KindOf {
  static constexpr MemberKind value = MemberKind::plain;
};
template <class T>
struct KindOf<const T> {
  static constexpr MemberKind value = MemberKind::constant;
};
template <class T>
struct KindOf<Parameter<T>> {
  static constexpr MemberKind value = MemberKind::parameter;
};
template <class T>
struct KindOf<const Parameter<T>> : KindOf<Parameter<T>> {};
template <class T>
struct KindOf<Lazy<T>> {
  static constexpr MemberKind value = MemberKind::lazy;
};
template <class T>
struct KindOf<Array<T>> {
  static constexpr MemberKind value = MemberKind::array;
};
template <class T>
struct KindOf<Transient<T>> {
  static constexpr MemberKind value = MemberKind::transient;
};
template <class T>
struct KindOf<const Transient<T>> : KindOf<Transient<T>> {};

template <class T>
void encode_member(const void* member, Pickler& out) {
  encode(out, *static_cast<const T*>(member));
}

template <class T>
void decode_member(void* member, const Value& value, const Place& place) {
  using Plain = std::remove_const_t<T>;
  if constexpr (std::is_const_v<T>) {
    // A const member cannot be assigned to, but it can be replaced as a whole ([basic.life]).
    Plain loaded{};
    decode(value, place, loaded);
    auto* at = static_cast<Plain*>(member);
    std::destroy_at(at);
    std::construct_at(at, std::move(loaded));
  } else {
    decode(value, place, *static_cast<T*>(member));
  }
}

template <class T>
constexpr MemberOps member_ops() {
  using Plain = std::remove_const_t<T>;
  MemberOps ops{KindOf<T>::value, spelling_of_type<Plain>(),   nullptr, nullptr, nullptr, nullptr,
                nullptr,          ParameterTable<Plain>::value};
  if constexpr (KindOf<T>::value != MemberKind::transient) {
    ops.encode = encode_member<Plain>;
    ops.decode = decode_member<T>;
  }
  return ops;
}

template <class T>
  requires(KindOf<T>::value == MemberKind::lazy || KindOf<T>::value == MemberKind::array)
constexpr MemberOps member_ops() {
  using Access = decltype([]<template <class> class W, class U>(W<U>*) {
    if constexpr (KindOf<T>::value == MemberKind::lazy) {
      return LazyAccess<U>{};
    } else {
      return ArrayAccess<U>{};
    }
  }(static_cast<T*>(nullptr)));
  MemberOps ops{KindOf<T>::value, spelling_of_type<T>(), encode_member<T>, decode_member<T>, nullptr, nullptr, nullptr,
                nullptr};
  ops.attach = [](void* member, std::shared_ptr<const StoredValue> stored) {
    Access::attach(*static_cast<T*>(member), std::move(stored));
  };
  ops.stored = [](const void* member) { return Access::stored(*static_cast<const T*>(member)); };
  if constexpr (KindOf<T>::value == MemberKind::array) {
    ops.spool_file = [](const void* member) { return Access::spool_file(*static_cast<const T*>(member)); };
  }
  return ops;
}

template <class T>
inline constexpr MemberOps kMemberOps = member_ops<T>();

template <class Flow, class... Ts>
std::vector<Member> describe_members(TypeList<Ts...>) {
  std::size_t i = 0;
  return {Member{kMemberNames<Flow>.names[i++], &kMemberOps<Ts>}...};
}

/// Runs one step of a flow object.
template <class Flow, class S, class Around>
void run_step(const StepCall& call) {
  auto& flow = *static_cast<Flow*>(call.flow);
  if constexpr (S::kJoin) {
    const Inputs<Flow> inputs(*call.inputs);
    (flow.*S::kMethod)(inputs);
  } else if constexpr (S::kTakesItem) {
    using Item = typename ForeachItems<VariableOf<Around::Transition::kVariable>>::Item;
    Item item{};
    decode(*call.item, Place{nullptr, "the item of foreach", 0}, item);
    (flow.*S::kMethod)(std::move(item));
  } else {
    (flow.*S::kMethod)();
  }
}

/// "fast" of Kind::fast, "3", "True", or the text itself.
template <auto Value>
std::string case_text() {
  using T = std::remove_const_t<decltype(Value)>;
  if constexpr (std::is_enum_v<T>) {
    return std::string(name_of_constant<Value>());
  } else if constexpr (std::is_same_v<T, bool>) {
    return Value ? "True" : "False";
  } else if constexpr (std::is_integral_v<T>) {
    return std::to_string(Value);
  } else {
    return std::string(std::string_view(Value));
  }
}

template <class Value, class Case>
bool case_holds(const Value& value, const Case& wanted) {
  if constexpr (std::is_integral_v<Value> && std::is_integral_v<Case> && !std::is_same_v<Value, bool>) {
    return std::cmp_equal(value, wanted);
  } else if constexpr (std::is_same_v<Value, std::string>) {
    return value == std::string_view(wanted);
  } else {
    return value == wanted;
  }
}

template <class V>
const auto& chosen_value(const V& member) {
  if constexpr (KindOf<V>::value == MemberKind::parameter || KindOf<V>::value == MemberKind::lazy) {
    return *member;
  } else {
    return member;
  }
}

template <class Flow, class T>
struct DescribeTransition {
  static void fill(StepDescription&) {}
};
template <class Flow, auto Variable, auto Body>
struct DescribeTransition<Flow, Foreach<Variable, Body>> {
  static void fill(StepDescription& step) { step.variable = member_index<Flow, Variable>(); }
};
template <class Flow, auto Variable, class... Whens>
struct DescribeTransition<Flow, Choose<Variable, Whens...>> {
  static void fill(StepDescription& step) {
    step.variable = member_index<Flow, Variable>();
    step.cases = {case_text<Whens::kValue>()...};
    step.choose = [](const void* member) {
      const auto& value = chosen_value(*static_cast<const VariableOf<Variable>*>(member));
      int i = 0;
      int chosen = -1;
      ((chosen < 0 && case_holds(value, Whens::kValue) ? chosen = i : 0, ++i), ...);
      return chosen;
    };
  }
};

template <class Flow, class... Steps, std::size_t... I>
void describe_steps(FlowDescription& flow, std::vector<StepSayings> said, std::index_sequence<I...>) {
  constexpr auto kVerdict = judge_shape<Flow, sizeof...(Steps)>();
  const std::vector<Node> nodes = nodes_of_flow<Flow>();
  flow.steps.resize(sizeof...(Steps));
  auto fill = [&]<class S, class Around>(std::size_t i) {
    StepDescription& step = flow.steps[i];
    step.node = nodes[i];
    step.doc = std::move(said[i].doc);
    step.decorators = std::move(said[i].decorators);
    step.run = run_step<Flow, S, Around>;
    DescribeTransition<Flow, typename S::Transition>::fill(step);
  };
  (fill.template operator()<
       Steps, typename StepAt<
                  (kVerdict.innermost_foreach[I] < 0 ? 0 : static_cast<std::size_t>(kVerdict.innermost_foreach[I])),
                  Steps...>::type>(I),
   ...);
}

template <class Flow, class... Steps>
void describe_graph(FlowDescription& flow, Graph<Steps...> graph) {
  describe_steps<Flow, Steps...>(flow, std::move(graph.said), std::index_sequence_for<Steps...>{});
}

template <class Flow>
FlowDescription describe() {
  FlowDescription flow;
  flow.name = flow_name<Flow>();
  if constexpr (requires { std::string(Flow::doc); }) flow.doc = Flow::doc;
  flow.members = describe_members<Flow>(MemberTypes<Flow>{});
  describe_graph<Flow>(flow, Flow::graph());
  flow.make = []() -> void* { return new Flow{}; };
  flow.destroy = [](void* object) { delete static_cast<Flow*>(object); };
  flow.addresses = [](void* object, void** members) {
    visit_members(*static_cast<Flow*>(object),
                  [&](auto&... member) { ((*members++ = const_cast<void*>(static_cast<const void*>(&member))), ...); });
  };
  return flow;
}

}  // namespace metaflow::detail
