// Values that hold values: maps, sets, sequences, tuples.
#pragma once

#include <metaflow/detail/convert.h>

namespace metaflow::detail {

template <class T>
  requires(MapLike<T> && !HasCodec<T>)
struct Convert<T> {
  using Key = typename T::key_type;
  using Mapped = typename T::mapped_type;
  static constexpr bool kStorable =
      StorableItem<Key> && StorableItem<Mapped> && (Convert<Key>::kCategory & kUnhashable) == 0;
  static constexpr unsigned kCategory = kDict;
  static void encode(Pickler& out, const T& value) {
    const Pickler::Copying copying(out, kMakesItems<T>);
    out.begin_dict();
    for (const auto& [key, mapped] : value) {
      out.next();
      Coder<Key>::encode(&key, out);
      Coder<Mapped>::encode(&mapped, out);
    }
    out.end();
  }
  static void decode(const Value& value, const Place& place, T& into) {
    const std::size_t size = dict_from(value, place);
    into.clear();
    for (std::size_t i = 0; i < size; ++i) {
      const Place at{&place, {}, i};
      Key key{};
      Coder<Key>::decode(&key, value[i], at);
      if constexpr (requires { into[key]; }) {
        Coder<Mapped>::decode(&into[key], value.mapped(i), at);
      } else {
        Mapped mapped{};
        Coder<Mapped>::decode(&mapped, value.mapped(i), at);
        into.emplace_hint(into.end(), std::move(key), std::move(mapped));  // maps written by this library are sorted
      }
    }
  }
};

template <class T>
  requires(SetLike<T> && !HasCodec<T>)
struct Convert<T> {
  using Item = typename T::value_type;
  static constexpr bool kStorable = StorableItem<Item> && (Convert<Item>::kCategory & kUnhashable) == 0;
  static constexpr unsigned kCategory = kSet;
  static void encode(Pickler& out, const T& value) {
    const Pickler::Copying copying(out, kMakesItems<T>);
    out.begin_set();
    for (const auto& item : value) {
      out.next();
      detail::encode(out, item);
    }
    out.end();
  }
  static void decode(const Value& value, const Place& place, T& into) {
    const std::size_t size = set_from(value, place);
    into.clear();
    for (std::size_t i = 0; i < size; ++i) {
      Item item{};
      detail::decode(value[i], Place{&place, {}, i}, item);
      into.emplace_hint(into.end(), std::move(item));
    }
  }
};

template <class T>
  requires(FixedSequence<T> && !HasCodec<T>)
struct Convert<T> {
  using Item = typename T::value_type;
  static constexpr bool kStorable = StorableItem<Item>;
  static constexpr unsigned kCategory = kList;
  static constexpr char kNumbers = Contiguous<T> ? kNumberType<Item> : '\0';
  static void encode(Pickler& out, const T& value) {
    if constexpr (kNumbers != '\0') {
      out.list_of_numbers(kNumbers, sizeof(Item), value.data(), value.size());
    } else {
      const Pickler::Copying copying(out, kMakesItems<T>);
      out.begin_list();
      for (const auto& item : value) {
        out.next();
        detail::encode(out, item);
      }
      out.end();
    }
  }
  static void decode(const Value& value, const Place& place, T& into) {
    const std::size_t size = sequence_from(value, place);
    if (size != into.size()) throw_wrong_size(value, place, into.size());
    if constexpr (kNumbers != '\0') {
      numbers_from(value, place, kNumbers, sizeof(Item), into.data());
    } else {
      for (std::size_t i = 0; i < size; ++i) detail::decode(value[i], Place{&place, {}, i}, into[i]);
    }
  }
};

template <class T>
  requires(SequenceLike<T> && !HasCodec<T> && !std::same_as<T, std::vector<std::byte>>)
struct Convert<T> {
  using Item = typename T::value_type;
  static constexpr bool kStorable = StorableItem<Item>;
  static constexpr unsigned kCategory = kList;
  static constexpr char kNumbers = Contiguous<T> ? kNumberType<Item> : '\0';
  static void encode(Pickler& out, const T& value) {
    if constexpr (kNumbers != '\0') {
      out.list_of_numbers(kNumbers, sizeof(Item), value.data(), value.size());
    } else if constexpr (Contiguous<T>) {
      encode_list(out, value.data(), value.size(), sizeof(Item), Coder<Item>::encode);
    } else {
      const Pickler::Copying copying(out, kMakesItems<T>);
      out.begin_list();
      for (const auto& item : value) {
        out.next();
        detail::encode<Item>(out, item);  // explicit Item: vector<bool> returns proxies
      }
      out.end();
    }
  }
  static void decode(const Value& value, const Place& place, T& into) {
    const std::size_t size = sequence_from(value, place);
    if constexpr (kNumbers != '\0') {
      into.resize(size);
      numbers_from(value, place, kNumbers, sizeof(Item), into.data());
    } else if constexpr (Contiguous<T>) {
      into.clear();
      into.resize(size);
      decode_items(value, place, into.data(), size, sizeof(Item), Coder<Item>::decode);
    } else if constexpr (std::same_as<Item, bool>) {
      into.clear();
      for (std::size_t i = 0; i < size; ++i) into.push_back(boolean_from(value[i], Place{&place, {}, i}));
    } else {
      into.clear();
      for (std::size_t i = 0; i < size; ++i) Coder<Item>::decode(&into.emplace_back(), value[i], Place{&place, {}, i});
    }
  }
};

template <class T, class Indices = std::make_index_sequence<std::tuple_size<T>::value>>
struct ConvertTuple;
template <class T, std::size_t... I>
struct ConvertTuple<T, std::index_sequence<I...>> {
  static constexpr bool kStorable = (Storable<std::remove_const_t<std::tuple_element_t<I, T>>> && ...);
  static void encode(Pickler& out, const T& value) {
    const Pickler::Copying copying(out, (!std::is_reference_v<decltype(get<I>(value))> || ...));
    out.begin_tuple(sizeof...(I));
    ((out.next(), detail::encode(out, get<I>(value))), ...);
    out.end();
  }
  static void decode([[maybe_unused]] const Value& value, [[maybe_unused]] const Place& place,
                     [[maybe_unused]] T& into) {
    (detail::decode(value[I], Place{&place, {}, I}, get<I>(into)), ...);
  }
};

template <class T>
  requires(TupleLike<T> && !HasCodec<T>)
struct Convert<T> {
  static constexpr bool kStorable = ConvertTuple<T>::kStorable;
  static constexpr unsigned kCategory = kTuple;
  static void encode(Pickler& out, const T& value) { ConvertTuple<T>::encode(out, value); }
  static void decode(const Value& value, const Place& place, T& into) {
    tuple_from(value, place, std::tuple_size<T>::value);
    ConvertTuple<T>::decode(value, place, into);
  }
};

}  // namespace metaflow::detail
