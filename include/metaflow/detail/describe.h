// Turns a flow into its FlowTable: the only interface between the types of a flow and the library.
#pragma once

#include <array>
#include <memory>

#include <metaflow/detail/check.h>
#include <metaflow/detail/table.h>
#include <metaflow/inputs.h>

namespace metaflow::detail {

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
const ParameterBase& base_of_parameter(const void* member) {
  return ParameterAccess<T>::base(*static_cast<const Parameter<T>*>(member));
}

template <class T>
inline constexpr ParameterOps kParameterOps{ParameterTypeOf<T>::value, ListItem<T>::value, OptionalLike<T>,
                                            base_of_parameter<T>};

// A const member cannot be assigned to, but it can be replaced as a whole ([basic.life]).
template <class T>
void decode_constant(void* member, const Value& value, const Place& place) {
  T loaded{};
  Coder<T>::decode(&loaded, value, place);
  auto* at = static_cast<T*>(member);
  std::destroy_at(at);
  std::construct_at(at, std::move(loaded));
}

template <class T>
void attach_lazy(void* member, std::shared_ptr<const StoredValue> stored) {
  LazyAccess<T>::attach(*static_cast<Lazy<T>*>(member), std::move(stored));
}
template <class T>
const StoredValue* stored_of_lazy(const void* member) {
  return LazyAccess<T>::stored(*static_cast<const Lazy<T>*>(member));
}
template <class T>
void attach_array(void* member, std::shared_ptr<const StoredValue> stored) {
  ArrayAccess<T>::attach(*static_cast<Array<T>*>(member), std::move(stored));
}
template <class T>
const StoredValue* stored_of_array(const void* member) {
  return ArrayAccess<T>::stored(*static_cast<const Array<T>*>(member));
}
template <class T>
int spool_file_of_array(const void* member) {
  return ArrayAccess<T>::spool_file(*static_cast<const Array<T>*>(member));
}

template <class T>
struct OpsOf {
  static constexpr MemberOps value{ArtifactKind::plain,
                                   spelling_of_type<T>(),
                                   Coder<T>::encode,
                                   Coder<T>::decode,
                                   nullptr,
                                   nullptr,
                                   nullptr,
                                   nullptr};
};
template <class T>
struct OpsOf<const T> {
  static constexpr MemberOps value{ArtifactKind::constant,
                                   spelling_of_type<T>(),
                                   Coder<T>::encode,
                                   decode_constant<T>,
                                   nullptr,
                                   nullptr,
                                   nullptr,
                                   nullptr};
};
template <class T>
struct OpsOf<Parameter<T>> {
  static constexpr MemberOps value{ArtifactKind::parameter,
                                   spelling_of_type<Parameter<T>>(),
                                   Coder<Parameter<T>>::encode,
                                   Coder<Parameter<T>>::decode,
                                   nullptr,
                                   nullptr,
                                   nullptr,
                                   &kParameterOps<T>};
};
template <class T>
struct OpsOf<const Parameter<T>> : OpsOf<Parameter<T>> {};
template <class T>
struct OpsOf<Lazy<T>> {
  static constexpr MemberOps value{ArtifactKind::lazy,
                                   spelling_of_type<Lazy<T>>(),
                                   Coder<Lazy<T>>::encode,
                                   Coder<Lazy<T>>::decode,
                                   attach_lazy<T>,
                                   stored_of_lazy<T>,
                                   nullptr,
                                   nullptr};
};
template <class T>
struct OpsOf<Array<T>> {
  static constexpr MemberOps value{
      ArtifactKind::array, spelling_of_type<Array<T>>(), Coder<Array<T>>::encode, Coder<Array<T>>::decode,
      attach_array<T>,     stored_of_array<T>,           spool_file_of_array<T>,  nullptr};
};
template <class T>
struct OpsOf<Transient<T>> {
  static constexpr MemberOps value{
      ArtifactKind::transient, spelling_of_type<Transient<T>>(), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};
};
template <class T>
struct OpsOf<const Transient<T>> : OpsOf<Transient<T>> {};

/// The names and types of the members.
template <std::size_t N>
struct MemberTable {
  Member members[N + 1];
};
template <class Flow, class... Ts>
consteval MemberTable<sizeof...(Ts)> member_table(TypeList<Ts...>) {
  std::size_t i = 0;
  return {{Member{kMemberNames<Flow>.names[i++], &OpsOf<Ts>::value}..., Member{}}};
}

/// Calls a step with the item, converted to the step's parameter type.
template <class Flow, class S, class Item>
void run_with_item(Flow& flow, Item& item) {
  if constexpr (std::is_same_v<typename S::Argument, Item>) {
    (flow.*S::kMethod)(static_cast<typename S::Parameter&&>(item));
  } else {
    auto argument = static_cast<typename S::Argument>(static_cast<Item&&>(item));
    (flow.*S::kMethod)(static_cast<typename S::Parameter&&>(argument));
  }
}

/// Runs one step of a flow object.
template <class Flow, class S, class Item>
void run_step(const StepCall& call) {
  auto& flow = *static_cast<Flow*>(call.flow);
  if constexpr (S::kJoin) {
    Inputs<Flow> inputs(*call.inputs);
    (flow.*S::kMethod)(static_cast<typename S::Parameter&&>(inputs));
  } else if constexpr (S::kTakesItem) {
    Item item{};
    Coder<Item>::decode(&item, *call.item, Place{nullptr, "the item of foreach", 0});
    run_with_item<Flow, S>(flow, item);
  } else {
    (flow.*S::kMethod)();
  }
}

/// "fast" of Kind::fast, "3", "True", or the text itself.
template <auto Value>
struct CaseText {
  static constexpr FixedString<sizeof(Value) * 3 + 2> digits() {
    FixedString<sizeof(Value) * 3 + 2> text;
    bool negative = Value < 0;
    auto rest = Value;
    std::size_t at = sizeof(text.text) - 1;
    do {
      const int digit = static_cast<int>(rest % 10);
      text.text[--at] = static_cast<char>('0' + (digit < 0 ? -digit : digit));
      rest = static_cast<decltype(rest)>(rest / 10);
    } while (rest != 0);
    if (negative) text.text[--at] = '-';
    for (std::size_t i = 0; at + i < sizeof(text.text); ++i) text.text[i] = text.text[at + i];
    return text;
  }
  static constexpr auto kDigits = digits();
  static constexpr std::string_view value = kDigits.text;
};
template <auto Value>
  requires std::is_enum_v<std::remove_const_t<decltype(Value)>>
struct CaseText<Value> {
  static constexpr std::string_view value = name_of_constant<Value>();
};
template <bool Value>
struct CaseText<Value> {
  static constexpr std::string_view value = Value ? "True" : "False";
};
template <std::size_t N, FixedString<N> Value>
struct CaseText<Value> {
  static constexpr std::string_view value = Value;
};

template <class V, class C>
bool case_holds(const V& value, const C& wanted) {
  if constexpr (std::is_integral_v<V> && !std::is_same_v<V, bool>) {
    return std::cmp_equal(value, wanted);
  } else if constexpr (std::is_same_v<V, std::string>) {
    return value == std::string_view(wanted);
  } else {
    return value == wanted;
  }
}

/// "medium" of Kind::medium, searched among the values 0 to 15; empty if no name is found.
template <class E>
std::string_view name_of_enumerator([[maybe_unused]] E value) {
  if constexpr (requires { E{0}; }) {  // the underlying type is fixed: every number is a valid value
    constexpr std::size_t kProbed = 16;
    static constexpr auto kNames = []<std::size_t... I>(std::index_sequence<I...>) {
      return std::array<std::string_view, kProbed>{name_of_constant<static_cast<E>(I)>()...};
    }(std::make_index_sequence<kProbed>{});
    const auto number = static_cast<unsigned long long>(value);
    if (number < kProbed) {
      const std::string_view name = kNames[number];
      if (!name.empty() && (name[0] < '0' || name[0] > '9')) return name;
    }
  }
  return {};
}

/// The index of the matching case.
template <class V, class Choice>
struct Chooser;
template <class V, auto Variable, class... Whens>
struct Chooser<V, Choose<Variable, Whens...>> {
  static constexpr std::string_view kCases[] = {CaseText<Whens::kValue>::value..., std::string_view{}};
  static int choose(const void* member) {
    const typename ChoiceOf<V>::type& value = ChoiceOf<V>::of(*static_cast<const V*>(member));
    int i = 0;
    int chosen = -1;
    ((chosen < 0 && case_holds(value, Whens::kValue) ? chosen = i : 0, ++i), ...);
    return chosen;
  }
  static std::string_view enumerator(const void* member) {
    if constexpr (std::is_enum_v<typename ChoiceOf<V>::type>) {
      return name_of_enumerator(ChoiceOf<V>::of(*static_cast<const V*>(member)));
    } else {
      return {};
    }
  }
};

/// The text of a number in a label.
std::string label_of_number(double value);

template <class Item, class L>
std::string label_of_item(const Value& value) {
  Item item{};
  Coder<Item>::decode(&item, value, Place{nullptr, "the item of foreach", 0});
  using Result = std::remove_cvref_t<decltype(call_label<L::kCallable>(item))>;
  if constexpr (std::is_floating_point_v<Result>) {
    return label_of_number(static_cast<double>(call_label<L::kCallable>(item)));
  } else if constexpr (std::is_arithmetic_v<Result>) {
    return std::to_string(call_label<L::kCallable>(item));
  } else {
    return std::string(call_label<L::kCallable>(item));
  }
}

template <class Flow, class S, class Item>
consteval StepTable step_table() {
  using T = typename S::Transition;
  StepTable table;
  table.run = run_step<Flow, S, Item>;
  if constexpr (T::kKind == Transition::foreach || T::kKind == Transition::choose)
    table.variable = member_index<Flow, T::kVariable>();
  if constexpr (T::kKind == Transition::foreach) {
    if constexpr (!std::is_same_v<typename T::ItemLabel, DefaultLabel>)
      table.label = label_of_item<typename ForeachItems<VariableOf<T::kVariable>>::Item, typename T::ItemLabel>;
  }
  if constexpr (T::kKind == Transition::choose) {
    table.choose = Chooser<VariableOf<T::kVariable>, T>::choose;
    table.cases = Chooser<VariableOf<T::kVariable>, T>::kCases;
    table.enumerator = Chooser<VariableOf<T::kVariable>, T>::enumerator;
  }
  return table;
}

template <std::size_t N>
struct StepTables {
  StepTable steps[N + 1];
};
template <class Flow, class... Steps, std::size_t... I>
consteval StepTables<sizeof...(Steps)> step_tables(const Graph<Steps...>*, std::index_sequence<I...>) {
  return {{step_table<Flow, Steps, typename ItemAround<Flow, Steps, I>::type>()..., StepTable{}}};
}

template <class Flow>
std::string_view doc_of_flow() {
  if constexpr (requires { std::string_view(Flow::doc); }) {
    return Flow::doc;
  } else {
    return {};
  }
}
template <class Flow>
GraphAnnotations annotations_of() {
  return Flow::graph();
}
template <class Flow>
void* make_flow() {
  return new Flow{};
}
template <class Flow>
void destroy_flow(void* flow) {
  delete static_cast<Flow*>(flow);
}

template <class Flow>
inline constexpr auto kMemberTable = member_table<Flow>(MemberTypes<Flow>{});
template <class Flow>
inline constexpr auto kStepTables =
    step_tables<Flow>(static_cast<const GraphOf<Flow>*>(nullptr), std::make_index_sequence<GraphOf<Flow>::kSize>{});
template <class Flow>
inline constexpr FlowTable kFlowTable{flow_name<Flow>(),
                                      doc_of_flow<Flow>,
                                      project_of_flow<Flow>(),
                                      kMemberTable<Flow>.members,
                                      static_cast<int>(MemberTypes<Flow>::size),
                                      kShape<Flow>.steps,
                                      kStepTables<Flow>.steps,
                                      GraphOf<Flow>::kSize,
                                      kShape<Flow>.targets,
                                      make_flow<Flow>,
                                      destroy_flow<Flow>,
                                      addresses_of_members<Flow>};

}  // namespace metaflow::detail
