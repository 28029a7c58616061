// Counts the data members of a type, and finds the obstacle, if there is one, to naming them (reflect.h).
//
// The number of members of an aggregate is the largest n for which T{any, any, ...} compiles.
#pragma once

// Counting uses functions that are declared but never defined, and compilers warn about these.
#pragma GCC system_header

#include <cstddef>
#include <type_traits>
#include <utility>

namespace metaflow {

/// A flow, or a value that is not an aggregate, lists its members once: `static auto artifacts() { return
/// mf::members<&F::a, &F::b>; }`.
template <auto... Pointers>
struct Members {};

template <auto... Pointers>
inline constexpr Members<Pointers...> members{};

namespace detail {

inline constexpr std::size_t kMaxMembers = 64;

// Initialisers for counting the members of an aggregate. They convert to whatever a member needs (AnyMember), only to
// base classes of T (AnyBase), only to those with data (AnyBaseWithData), or to an lvalue reference (AnyReference).
// Not copyable, or a std::any member would accept them by copy.
struct Uncopyable {
  constexpr Uncopyable() = default;
  Uncopyable(const Uncopyable&) = delete;
};
struct AnyMember : Uncopyable {
  template <class M>
  constexpr operator M() const noexcept;
};
template <class T>
struct AnyBase : Uncopyable {
  template <class B>
    requires(std::is_base_of_v<B, T> && !std::is_same_v<B, T>)
  constexpr operator B() const noexcept;
};
template <class T>
struct AnyBaseWithData : Uncopyable {
  template <class B>
    requires(std::is_base_of_v<B, T> && !std::is_same_v<B, T> && !std::is_empty_v<B>)
  constexpr operator B() const noexcept;
};
struct AnyReference : Uncopyable {
  template <class M>
  constexpr operator M&() const noexcept;
};

// The I-th of several.
template <class Any, std::size_t>
struct Nth : Any {};

template <class T, std::size_t... B>
consteval bool has_bases(std::index_sequence<B...>) {
  return requires { T{Nth<AnyBase<T>, B>{}...}; };
}

template <class T, std::size_t N = 0>
consteval std::size_t count_bases() {
  if constexpr (has_bases<T>(std::make_index_sequence<N + 1>{})) {
    return count_bases<T, N + 1>();
  } else {
    return N;
  }
}

// A base without data is not asked for as a whole: without braces the compiler would go on to the bases of a base.
template <class T, std::size_t... B>
consteval bool base_with_data_follows(std::index_sequence<B...>) {
  return requires { T{Nth<AnyBase<T>, B>{}..., AnyBaseWithData<T>{}}; };
}
template <class T, std::size_t... B>
consteval bool has_base_with_data(std::index_sequence<B...>) {
  return (base_with_data_follows<T>(std::make_index_sequence<B>{}) || ...);
}

template <class T, std::size_t... B, std::size_t... I>
consteval bool has_members(std::index_sequence<B...>, std::index_sequence<I...>) {
  return requires { T{Nth<AnyBase<T>, B>{}..., Nth<AnyMember, I>{}...}; };
}

// Members have initialisers or default constructors (a flow is default-constructed), so "n initialisers compile" is
// true up to the number of members and false beyond: bisect.
template <class T, class Bases, std::size_t Low, std::size_t High>
consteval std::size_t count_members() {
  if constexpr (Low == High) {
    return Low;
  } else {
    constexpr std::size_t kMiddle = (Low + High + 1) / 2;
    if constexpr (has_members<T>(Bases{}, std::make_index_sequence<kMiddle>{})) {
      return count_members<T, Bases, kMiddle, High>();
    } else {
      return count_members<T, Bases, Low, kMiddle - 1>();
    }
  }
}

// A C array takes one initialiser per element when braces are left out, as they are in counting, but none at all in
// parentheses.
template <class T, std::size_t... B, std::size_t... I>
consteval bool has_no_c_array(std::index_sequence<B...>, std::index_sequence<I...>) {
  return requires { T(Nth<AnyBase<T>, B>{}..., Nth<AnyMember, I>{}...); };
}
// The size of the array that begins with the I-th initialiser; 1 if none begins there. It is the number of initialisers
// that one {} replaces so that `After` others can follow.
template <class T, std::size_t... B, std::size_t... I, std::size_t... After>
consteval bool braces_fit(std::index_sequence<B...>, std::index_sequence<I...>, std::index_sequence<After...>) {
  return requires { T{Nth<AnyBase<T>, B>{}..., Nth<AnyMember, I>{}..., {}, Nth<AnyMember, After>{}...}; };
}
template <class T, class Bases, std::size_t Count, std::size_t I>
consteval std::size_t c_array_size() {
  std::size_t size = 1;
  [&]<std::size_t... Size>(std::index_sequence<Size...>) {
    (void)((braces_fit<T>(Bases{}, std::make_index_sequence<I>{}, std::make_index_sequence<Count - I - 1 - Size>{})
                ? (size = Size + 1, true)
                : false) ||
           ...);
  }(std::make_index_sequence<Count - I>{});
  return size;
}
template <class T, class Bases, std::size_t Count, std::size_t I = 0>
consteval std::size_t count_with_c_arrays() {
  if constexpr (I >= Count) {
    return 0;
  } else {
    return 1 + count_with_c_arrays<T, Bases, Count, I + c_array_size<T, Bases, Count, I>()>();
  }
}

// A type without a default constructor: the number of members if all get an initialiser; 0 if none is found.
template <class T, std::size_t Bases = 1, std::size_t N = kMaxMembers>
consteval std::size_t count_without_default() {
  if constexpr (has_members<T>(std::make_index_sequence<Bases>{}, std::make_index_sequence<N>{})) {
    return N;
  } else if constexpr (N > 1) {
    return count_without_default<T, Bases, N - 1>();
  } else if constexpr (Bases > 0) {
    return count_without_default<T, Bases - 1>();
  } else {
    return 0;
  }
}

template <class T, std::size_t... B, std::size_t... I>
consteval bool reference_follows(std::index_sequence<B...>, std::index_sequence<I...>) {
  return requires { T{Nth<AnyBase<T>, B>{}..., Nth<AnyMember, I>{}..., AnyReference{}}; };
}

/// Why the members of a type cannot be named.
enum class Obstacle : unsigned char { none, too_many, reference, base_with_data };

/// How many data members a type has.
struct Layout {
  std::size_t members = 0;
  Obstacle obstacle = Obstacle::none;
};

template <class T>
concept ListsItsMembers = requires { T::artifacts(); };

/// Members<&T::a, &T::b>
template <class T>
using ListedMembers = decltype(T::artifacts());

template <class>
struct CountListed;
template <auto... Pointers>
struct CountListed<Members<Pointers...>> {
  static constexpr std::size_t value = sizeof...(Pointers);
};

template <class T>
consteval Layout layout_of() {
  if constexpr (ListsItsMembers<T>) {
    return {CountListed<ListedMembers<T>>::value};
  } else if constexpr (!requires { T{}; }) {
    return {count_without_default<T>()};
  } else {
    using Bases = std::make_index_sequence<count_bases<T>()>;
    constexpr std::size_t kCount = count_members<T, Bases, 0, kMaxMembers + 1>();
    if constexpr (has_base_with_data<T>(Bases{})) {
      return {0, Obstacle::base_with_data};
    } else if constexpr (kCount > kMaxMembers) {
      return {0, Obstacle::too_many};
    } else if constexpr (reference_follows<T>(Bases{}, std::make_index_sequence<kCount>{})) {
      return {0, Obstacle::reference};
    } else if constexpr (has_no_c_array<T>(Bases{}, std::make_index_sequence<kCount>{})) {
      return {kCount};
    } else {
      return {count_with_c_arrays<T, Bases, kCount>()};
    }
  }
}

template <class T>
inline constexpr Layout kLayout = layout_of<T>();

}  // namespace detail
}  // namespace metaflow
