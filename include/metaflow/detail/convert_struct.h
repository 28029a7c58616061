// Aggregates: stored as a dict by member name.
#pragma once

#include <metaflow/detail/convert_alternatives.h>
#include <metaflow/detail/reflect.h>

namespace metaflow::detail {

/// A struct of data: stored as a dict by member name.
template <class T>
concept PlainAggregate = std::is_aggregate_v<T> && std::is_class_v<T> && requires { T{}; } && !HasCodec<T> &&
                         !Iterable<T> && !TupleLike<T> && !TimePointLike<T> && !DurationLike<T> && !MonostateLike<T>;

template <class T, class... Ts>
consteval bool all_storable(TypeList<Ts...>) {
  return kLayout<T>.obstacle == Obstacle::none && HasConstantAddresses<T> &&
         ((Storable<Ts> && !std::is_const_v<Ts>)&&...);
}

/// The members of a struct, without their types.
struct StructMember {
  std::string_view name;
  void (*encode)(const void* value, Pickler& out);
  void (*decode)(void* into, const Value& value, const Place& place);
};
void encode_struct(Pickler& out, const StructMember* members, void* const* addresses, std::size_t count);
void decode_struct(const Value& value, const Place& place, const StructMember* members, void* const* addresses,
                   std::size_t count);

template <class T, class Types = MemberTypes<T>>
struct StructTable;
template <class T, class... Ts>
struct StructTable<T, TypeList<Ts...>> {
  static constexpr std::size_t kCount = sizeof...(Ts);
  static constexpr std::size_t kRoom = kCount + 1;  // avoids arrays of size 0
  struct Table {
    StructMember members[kRoom];
  };
  static consteval Table make() {
    std::size_t i = 0;
    return {{StructMember{kMemberNames<T>.names[i++], Coder<Ts>::encode, Coder<Ts>::decode}..., StructMember{}}};
  }
  static constexpr Table kTable = make();
};

template <class T>
  requires(PlainAggregate<T> || (ListsItsMembers<T> && !HasCodec<T>))
struct Convert<T> {
  static constexpr bool kStorable = all_storable<T>(MemberTypes<T>{});
  static constexpr unsigned kCategory = kDict;
  static void encode(Pickler& out, const T& value) {
    using Table = StructTable<T>;
    void* addresses[Table::kRoom];
    addresses_of_members<T>(const_cast<T*>(&value), addresses);
    encode_struct(out, Table::kTable.members, addresses, Table::kCount);
  }
  static void decode(const Value& value, const Place& place, T& into) {
    using Table = StructTable<T>;
    void* addresses[Table::kRoom];
    addresses_of_members<T>(&into, addresses);
    decode_struct(value, place, Table::kTable.members, addresses, Table::kCount);
  }
};

}  // namespace metaflow::detail
