// Checks the class of a flow and its members (check.h).
#pragma once

#include <type_traits>

#include <metaflow/array.h>
#include <metaflow/artifact.h>
#include <metaflow/codec.h>
#include <metaflow/detail/diagnostics.h>
#include <metaflow/detail/recursion.h>
#include <metaflow/detail/step.h>
#include <metaflow/parameter.h>

namespace metaflow {

template <class Flow>
struct FlowSpec;

}  // namespace metaflow

namespace metaflow::detail {

/// A name for use in a compiler's message.
template <std::size_t N>
consteval FixedString<N + 1> fixed(std::string_view text) {
  FixedString<N + 1> fixed;
  for (std::size_t i = 0; i < N; ++i) fixed.text[i] = text[i];
  // Compilers print such an argument as text only if its end has been assigned and all of it is ASCII; else as numbers.
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

/// Whether a pointer to member points to a member of the flow.
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

/// The project that the flow belongs to; empty: none.
template <class Flow>
consteval std::string_view project_of_flow() {
  if constexpr (requires { std::string_view(Flow::project); }) {
    return Flow::project;
  } else {
    return {};
  }
}

inline constexpr std::size_t kLongestProject = 128;  // Metaflow's limit; branches have the same

/// Names of projects and branches, by Metaflow's rule.
constexpr bool valid_project_name(std::string_view name) {
  if (name.empty() || name.size() > kLongestProject) return false;
  for (char c : name) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return false;
  }
  return true;
}

template <class Flow>
consteval bool has_bad_project() {
  if constexpr (requires { std::string_view(Flow::project); }) {
    return !valid_project_name(Flow::project);
  } else {
    return false;
  }
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

template <class... Ts>
consteval bool any_lacks_default(TypeList<Ts...>) {
  return !(requires { std::remove_const_t<Ts>{}; } && ...);
}

/// Whether a type without a default constructor has a member that needs an initial value. If not, an initial value in
/// the class is invalid, which the compiler reports itself.
template <class T>
consteval bool member_lacks_default() {
  if constexpr (!std::is_aggregate_v<T>) {
    return true;
  } else {
    return any_lacks_default(MemberTypes<T>{});
  }
}

/// Whether a member of any kind and access is named graph. Its code may be invalid: then it cannot be called.
struct NamedGraph {
  int graph;
};
template <class Flow>
struct WithNamedGraph : Flow, NamedGraph {};
template <class Flow>
consteval bool has_member_graph() {
  if constexpr (std::is_final_v<Flow>) {
    return requires { &Flow::graph; };
  } else {
    return !requires { &WithNamedGraph<Flow>::graph; };  // two members of this name are ambiguous
  }
}

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
    return HasConstantAddresses<Flow> ? FlowMistake::none : FlowMistake::reference;
  }
}

template <class Flow>
consteval FlowMistake mistake_of_flow() {
  if constexpr (!std::is_convertible_v<Flow*, FlowSpec<Flow>*>) {
    return FlowMistake::not_derived;
  } else if constexpr (!std::is_aggregate_v<Flow> && !ListsItsMembers<Flow>) {
    return FlowMistake::no_aggregate;
  } else if constexpr (!requires { Flow{}; }) {
    return member_lacks_default<Flow>() ? FlowMistake::not_default : FlowMistake::invalid_member;
  } else if constexpr (mistake_of_members<Flow>() != FlowMistake::none) {
    return mistake_of_members<Flow>();
  } else if constexpr (!has_name<Flow>()) {
    return FlowMistake::unnamed_template;
  } else if constexpr (!valid_flow_name(flow_name<Flow>())) {
    return FlowMistake::bad_name;
  } else if constexpr (has_bad_project<Flow>()) {
    return FlowMistake::bad_project;
  } else if constexpr (!requires { Flow::graph(); }) {
    constexpr bool kSeen = has_member_graph<Flow>() && !requires(Flow flow) { flow.graph(); };
    return kSeen ? FlowMistake::invalid_graph : FlowMistake::no_graph;
  } else if constexpr (std::is_void_v<GraphOf<Flow>>) {
    return FlowMistake::empty_graph;
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
  } else if constexpr (!requires { std::remove_const_t<First>{}; }) {
    return Reason<First>{};
  } else {
    return first_culprit<Whole>(TypeList<Rest...>{});
  }
}

/// The part of a type for which the type cannot be stored.
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

/// Whether a class is declared by the user, not by a library.
template <class C>
consteval bool is_own_class() {
  constexpr std::string_view kType = spelling_of_type<C>();
  return !kType.starts_with("std::") && !kType.starts_with("metaflow::");
}

template <class... Ts>
consteval bool any_const(TypeList<Ts...>) {
  return (std::is_const_v<Ts> || ...);
}

template <class C>
concept HasInvalidCodec = !HasCodec<C> && requires { sizeof(Codec<C>); };

template <class C>
consteval MemberMistake mistake_of_struct() {
  switch (kLayout<C>.obstacle) {
    case Obstacle::too_many: return MemberMistake::too_many_members;
    case Obstacle::base_with_data: return MemberMistake::base_with_data;
    default: break;
  }
  if constexpr (!HasConstantAddresses<C>) {
    return MemberMistake::reference;
  } else {
    return any_const(MemberTypes<C>{}) ? MemberMistake::const_member : MemberMistake::unstorable;
  }
}

template <class T>
consteval MemberMistake mistake_of_type() {
  if constexpr (kIsTransient<T>) {
    return MemberMistake::none;
  } else if constexpr (contains_itself<T>()) {
    return MemberMistake::contains_itself;
  } else if constexpr (Storable<std::remove_const_t<T>>) {
    return MemberMistake::none;
  } else {
    using C = Culprit<T>;
    if constexpr (std::is_array_v<C>) {
      return MemberMistake::c_array;
    } else if constexpr (kIsArray<C>) {
      return MemberMistake::array_element;
    } else if constexpr (HasInvalidCodec<C>) {
      return MemberMistake::invalid_codec;
    } else if constexpr (kHasTwinAlternatives<C>) {
      return MemberMistake::alternatives;
    } else if constexpr (std::is_class_v<C> && !std::is_aggregate_v<C>) {
      constexpr bool kOwn = is_own_class<C>();
      return !kOwn ? MemberMistake::unstorable : Storable<C> ? MemberMistake::no_default : MemberMistake::no_aggregate;
    } else if constexpr (PlainAggregate<C>) {
      return mistake_of_struct<C>();
    } else if constexpr (std::is_class_v<C>) {
      return MemberMistake::no_default;
    } else {
      return MemberMistake::unstorable;
    }
  }
}

constexpr bool reserved_artifact_name(std::string_view name) {
  // Python's keywords, which the Python client cannot read as attributes, and names that Metaflow uses itself.
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
    if constexpr (kFound.mistake == MemberMistake::contains_itself)
      return wrong_member<kFound.mistake, fixed<kName.size()>(kName), Type, Type>();
    else
      return wrong_member<kFound.mistake, fixed<kName.size()>(kName), Type, Culprit<Type>>();
  }
}

/// The index of the member that this pointer points to; -1: not a member of the flow.
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

}  // namespace metaflow::detail
