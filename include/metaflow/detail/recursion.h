// Detects types that contain themselves: they cannot be stored, and without this check their traits would recurse.
#pragma once

#include <metaflow/artifact.h>
#include <metaflow/codec.h>
#include <metaflow/parameter.h>

namespace metaflow::detail {

/// The type of the value in a wrapper of members.
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

/// The types of the values that a value of this type holds.
template <class T>
struct Parts {
  using type = TypeList<>;
};
template <class T>
  requires HasCodec<T>
struct Parts<T> {
  using type = TypeList<typename Codec<T>::Stored>;
};
template <class T>
  requires(!HasCodec<T> && MapLike<T>)
struct Parts<T> {
  using type = TypeList<typename T::key_type, typename T::mapped_type>;
};
template <class T>
  requires(!HasCodec<T> && !MapLike<T> && !PathLike<T> && (Iterable<T> || OptionalLike<T>))
struct Parts<T> {
  using type = TypeList<typename T::value_type>;
};
template <template <class...> class Whole, class... Ts>
  requires(!HasCodec<Whole<Ts...>> && !Iterable<Whole<Ts...>> && (VariantLike<Whole<Ts...>> || TupleLike<Whole<Ts...>>))
struct Parts<Whole<Ts...>> {
  using type = TypeList<Ts...>;
};
template <class T>
  requires(!HasCodec<T> && (PlainAggregate<T> || ListsItsMembers<T>))
struct Parts<T> {
  using type = MemberTypes<T>;
};

template <class T, class... Around>
consteval bool contains_itself();
template <class... Around, class... Ts>
consteval bool any_contains_itself(TypeList<Ts...>) {
  return (contains_itself<Ts, Around...>() || ...);
}

/// `Around`: the types that contain T, from the inside out.
template <class T, class... Around>
consteval bool contains_itself() {
  using Plain = typename Unwrapped<std::remove_const_t<T>>::type;
  if constexpr (!std::is_class_v<Plain>) {
    return false;
  } else if constexpr ((std::is_same_v<Plain, Around> || ...)) {
    return true;
  } else {
    return any_contains_itself<Plain, Around...>(typename Parts<Plain>::type{});
  }
}

/// Whether values of this type can be stored. Safe for a type that contains itself.
template <class T>
concept FiniteAndStorable = !contains_itself<T>() && Storable<T>;

}  // namespace metaflow::detail
