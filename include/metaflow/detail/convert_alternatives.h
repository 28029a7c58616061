// Values that may be one thing or another: optional, variant.
#pragma once

#include <metaflow/detail/convert.h>
#include <metaflow/detail/reflect.h>

namespace metaflow::detail {

template <class T>
  requires(OptionalLike<T> && !HasCodec<T>)
struct Convert<T> {
  using Inner = typename T::value_type;
  static constexpr bool kStorable = StorableItem<Inner> && (Convert<Inner>::kCategory & kNone) == 0;
  static constexpr unsigned kCategory = kNone | Convert<Inner>::kCategory;
  static void encode(Pickler& out, const T& value) {
    if (value.has_value()) {
      Coder<Inner>::encode(&*value, out);
    } else {
      out.none();
    }
  }
  static void decode(const Value& value, const Place& place, T& into) {
    if (value.is_none()) {
      into.reset();
    } else {
      Coder<Inner>::decode(&into.emplace(Inner{}), value, place);
    }
  }
};

template <class... Ts>
consteval bool distinguishable() {
  unsigned seen = 0;
  bool distinct = true;
  ((distinct = distinct && (seen & Convert<Ts>::kCategory) == 0, seen |= Convert<Ts>::kCategory), ...);
  return distinct;
}

/// std::monostate, without <variant>.
template <class T>
concept MonostateLike = std::is_empty_v<T> && spelling_of_type<T>() == std::string_view("std::monostate");

template <class T>
  requires MonostateLike<T>
struct Convert<T> {
  static constexpr bool kStorable = true;
  static constexpr unsigned kCategory = kNone;
  static void encode(Pickler& out, const T&) { out.none(); }
  static void decode(const Value& value, const Place& place, T&) {
    if (!value.is_none()) throw_mismatch(value, place, "None");
  }
};

template <class T>
concept VariantLike = requires(T& v) {
  v.index();
  v.valueless_by_exception();
  v.template emplace<0>();
};

/// A variant whose alternatives can be stored, but that could not be read back unambiguously from Python.
template <class T>
inline constexpr bool kHasTwinAlternatives = false;
template <template <class...> class Variant, class... Ts>
  requires VariantLike<Variant<Ts...>>
inline constexpr bool kHasTwinAlternatives<Variant<Ts...>> = (Storable<Ts> && ...) && !distinguishable<Ts...>();

template <template <class...> class Variant, class... Ts>
  requires VariantLike<Variant<Ts...>>
struct Convert<Variant<Ts...>> {
  static constexpr bool kStorable = (Storable<Ts> && ...) && distinguishable<Ts...>();
  static constexpr unsigned kCategory = (Convert<Ts>::kCategory | ...);
  static void encode(Pickler& out, const Variant<Ts...>& value) {
    visit([&](const auto& held) { detail::encode(out, held); }, value);  // found by argument-dependent lookup
  }
  static void decode(const Value& value, const Place& place, Variant<Ts...>& into) {
    constexpr auto kAll = std::index_sequence_for<Ts...>{};
    const unsigned category = category_of(value);
    if (!try_decode(value, place, into, category, kAll) &&
        !try_decode(value, place, into, wider_categories(category), kAll))
      throw_mismatch(value, place, "any alternative of the variant");
  }

 private:
  template <std::size_t... I>
  static bool try_decode(const Value& value, const Place& place, Variant<Ts...>& into, unsigned category,
                         std::index_sequence<I...>) {
    return (((Convert<Ts>::kCategory & category) != 0 &&
             (detail::decode(value, place, into.template emplace<I>()), true)) ||
            ...);
  }
};

}  // namespace metaflow::detail
