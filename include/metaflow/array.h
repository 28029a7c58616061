// Numeric arrays of any dimension: numpy.ndarray in Python, a mapped file in C++.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <metaflow/codec.h>
#include <metaflow/detail/stored.h>

namespace metaflow {

namespace detail {

/// numpy's letter for the type of an element; 0 for a type that is not an element type.
template <class T>
inline constexpr char kElementType = kNumberType<T>;
template <>
inline constexpr char kElementType<bool> = 'b';
template <ComplexLike T>
inline constexpr char kElementType<T> = 'c';

template <class T>
concept Element = std::is_trivially_copyable_v<T> && kElementType<T> != '\0' && sizeof(T) <= 16;

/// The untyped part of an Array. Reading is safe from several threads.
class ArrayData {
 public:
  // Out-of-line factories: instantiating std::make_shared costs a flow 50 ms of compilation each time.
  static std::shared_ptr<ArrayData> refer_to(std::shared_ptr<const StoredValue> stored);
  static std::shared_ptr<ArrayData> read(const Value& value, const Place& place, char type, std::size_t item_size);
  static std::shared_ptr<ArrayData> zeros(std::vector<std::size_t> shape, std::size_t item_size);
  static std::shared_ptr<ArrayData> sharing(std::vector<std::size_t> shape, std::size_t item_size, std::byte* data,
                                            std::shared_ptr<void> owner);

  /// Refers to a stored value, which is not read yet.
  explicit ArrayData(std::shared_ptr<const StoredValue> stored);
  /// Zeros in memory, 64-byte aligned. Throws Error{out_of_memory}.
  ArrayData(std::vector<std::size_t> shape, std::size_t item_size);
  /// Elements in memory that `owner` keeps alive.
  ArrayData(std::vector<std::size_t> shape, std::size_t item_size, std::byte* data, std::shared_ptr<void> owner);
  /// The elements of `base`, which must be loaded, in another shape.
  ArrayData(std::vector<std::size_t> shape, std::shared_ptr<ArrayData> base);
  /// Zeros in a mapped file, beside the store of the running task. Outside a task: in the temporary directory.
  static std::shared_ptr<ArrayData> on_disk(char type, std::vector<std::size_t> shape, std::size_t item_size);
  ~ArrayData();
  ArrayData(const ArrayData&) = delete;
  ArrayData& operator=(const ArrayData&) = delete;

  /// Reads the stored value, if there is one, as elements of this type.
  void load(char type, std::size_t item_size);

  const std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  const std::vector<std::size_t>& shape() const { return shape_; }
  const StoredValue* stored() const { return stored_.get(); }
  const std::shared_ptr<void>& owner() const { return owner_; }

  /// Writable memory: this object's if it is unshared and writable, else a copy.
  static std::byte* writable(std::shared_ptr<ArrayData>& data);

  /// Descriptor of the file of an on_disk array, which is a complete payload; -1 for other arrays.
  int spool_file() const { return spool_file_; }

  void assign(const Value& value, const Place& place, char type, std::size_t item_size,
              std::shared_ptr<const void> memory);

 private:
  bool make_writable();

  std::shared_ptr<const StoredValue> stored_;
  Once loaded_;
  std::vector<std::size_t> shape_;
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  std::shared_ptr<void> owner_;
  std::shared_ptr<ArrayData> base_;  // owner of the memory, if this is a reshaped view
  bool read_only_ = false;
  int spool_file_ = -1;
};

/// The state of an Array after a move: one dimension, no elements.
std::shared_ptr<ArrayData> no_array_data() noexcept;

std::size_t element_count(std::span<const std::size_t> shape);
[[noreturn]] void throw_bad_shape(std::span<const std::size_t> shape, std::size_t elements);
[[noreturn]] void throw_out_of_range(std::span<const std::size_t> shape, std::span<const std::size_t> index);

}  // namespace detail

/// An n-dimensional array of numbers in row-major order, 64-byte aligned when it comes from the store.
///
/// An artifact of this type costs nothing until it is used: a step that reads it maps the file, a step that does not
/// read it passes the reference on. Copies share the elements. Read with data(), span(), [] and (); write with edit(),
/// which copies first if the elements are shared. Reading is safe from several threads, edit() is not.
///
///   auto grid = mf::Array<double>::zeros({rows, columns});
///   auto cells = grid.edit();                         // std::span<double>
///   cells[r * columns + c] = 1;
///   double x = grid(r, c);
template <class T>
class Array {
 public:
  /// The type of an element.
  using value_type = T;
  /// Elements are read by pointers.
  using const_iterator = const T*;
  /// The size of each dimension.
  using Shape = std::vector<std::size_t>;

  /// One dimension, no elements.
  Array() noexcept : data_(detail::no_array_data()) { check(); }
  Array(const Array&) = default;
  Array& operator=(const Array&) = default;
  /// Takes over the elements. The other array is empty then.
  Array(Array&& other) noexcept
      : data_(std::exchange(other.data_, detail::no_array_data())), vector_(std::exchange(other.vector_, nullptr)) {}
  /// Takes over the elements. The other array is empty then.
  Array& operator=(Array&& other) noexcept {
    data_ = std::exchange(other.data_, detail::no_array_data());
    vector_ = std::exchange(other.vector_, nullptr);
    return *this;
  }
  /// The given elements, in one dimension: Array<double>{1, 2, 3}.
  Array(std::initializer_list<T> values) : Array(Zeros{}, Shape{values.size()}) {
    T* into = edit().data();
    for (const T& value : values) *into++ = value;
  }
  /// Takes ownership of the vector's memory; nothing is copied.
  Array(std::vector<T>&& values)
    requires(!std::same_as<T, bool>)
      : Array(std::move(values), Shape{}) {}
  /// The same, with a shape. Throws Error{invalid_value} if it does not have as many elements.
  Array(std::vector<T>&& values, Shape shape)
    requires(!std::same_as<T, bool>)
  {
    auto owner = std::make_shared<std::vector<T>>(std::move(values));
    if (shape.empty()) shape = {owner->size()};
    if (detail::element_count(shape) != owner->size()) detail::throw_bad_shape(shape, owner->size());
    auto* bytes = reinterpret_cast<std::byte*>(owner->data());
    data_ = detail::ArrayData::sharing(std::move(shape), sizeof(T), bytes, owner);
    vector_ = std::move(owner);
  }

  /// Zeros in memory.
  static Array zeros(Shape shape) { return Array(Zeros{}, std::move(shape)); }
  /// A copy of the elements.
  static Array copy_of(std::span<const T> values, Shape shape = {}) {
    if (shape.empty()) shape = {values.size()};
    if (detail::element_count(shape) != values.size()) detail::throw_bad_shape(shape, values.size());
    Array array = zeros(std::move(shape));
    if (!values.empty()) std::memcpy(array.edit().data(), values.data(), values.size_bytes());
    return array;
  }
  /// Shares memory allocated elsewhere; `owner` is released when the last copy is destroyed.
  static Array sharing(std::span<T> values, Shape shape, std::shared_ptr<void> owner) {
    if (detail::element_count(shape) != values.size()) detail::throw_bad_shape(shape, values.size());
    Array array;
    array.data_ = detail::ArrayData::sharing(std::move(shape), sizeof(T), reinterpret_cast<std::byte*>(values.data()),
                                             std::move(owner));
    return array;
  }
  /// Zeros in a mapped file: for arrays larger than memory. Saving such an array does not write it again.
  static Array on_disk(const Shape& shape) {
    Array array;
    array.data_ = detail::ArrayData::on_disk(detail::kElementType<T>, shape, sizeof(T));
    return array;
  }

  /// The size of each dimension.
  std::span<const std::size_t> shape() const { return loaded().shape(); }
  /// How many dimensions there are.
  std::size_t dimensions() const { return shape().size(); }
  /// How many elements there are.
  std::size_t size() const { return loaded().bytes() / sizeof(T); }
  /// Whether there are none.
  bool empty() const { return size() == 0; }

  /// The elements in row-major order.
  const T* data() const { return reinterpret_cast<const T*>(loaded().data()); }
  /// All elements.
  std::span<const T> span() const { return {data(), size()}; }
  /// The first element.
  const T* begin() const { return data(); }
  /// Behind the last element.
  const T* end() const { return data() + size(); }
  /// The element at a position in row-major order. Not checked.
  const T& operator[](std::size_t index) const { return data()[index]; }

  /// The element at this index, one number per dimension. Throws Error{invalid_value} if it is out of range.
  template <class... Index>
  const T& operator()(Index... index) const {
    return data()[offset(std::array<std::size_t, sizeof...(Index)>{static_cast<std::size_t>(index)...})];
  }

  /// The elements of row r: all elements whose first index is r.
  std::span<const T> row(std::size_t r) const {
    const auto dims = shape();
    if (dims.empty() || r >= dims[0]) detail::throw_out_of_range(dims, std::span(&r, 1));
    const std::size_t width = size() / dims[0];
    return span().subspan(r * width, width);
  }

  /// The elements for writing. Valid until the array is copied, assigned or edited again.
  std::span<T> edit() {
    loaded();
    auto* bytes = detail::ArrayData::writable(data_);
    if (vector_ != nullptr && data_->owner() != vector_) vector_ = nullptr;  // the elements were copied
    return {reinterpret_cast<T*>(bytes), data_->bytes() / sizeof(T)};
  }

  /// The same elements in another shape of the same size.
  Array reshaped(Shape shape) const {
    const auto elements = size();
    if (detail::element_count(shape) != elements) detail::throw_bad_shape(shape, elements);
    Array array;
    array.data_ = std::make_shared<detail::ArrayData>(std::move(shape), data_);
    return array;
  }

  /// The elements as a vector: moved out if the array was made from a vector and is its only owner, else copied.
  std::vector<T> to_vector() && {
    loaded();
    if (vector_ != nullptr && data_.use_count() == 1 && data_->owner() == vector_ && vector_.use_count() == 2) {
      std::vector<T> values = std::move(*vector_);
      data_ = detail::no_array_data();
      vector_ = nullptr;
      return values;
    }
    return {begin(), end()};
  }
  /// A copy of the elements.
  std::vector<T> to_vector() const& { return {begin(), end()}; }

 private:
  // Not in the class: a flow with such a member is refused with this sentence, too (detail/check.h).
  static constexpr void check() {
    static_assert(detail::Element<T>,
                  "metaflow: the elements of an Array are bool, integers, float, double or complex");
  }
  friend struct detail::Convert<Array>;
  template <class>
  friend struct ArrayAccess;

  struct Zeros {};
  Array(Zeros, Shape shape) : data_(detail::ArrayData::zeros(std::move(shape), sizeof(T))) {}

  const detail::ArrayData& loaded() const {
    data_->load(detail::kElementType<T>, sizeof(T));
    return *data_;
  }

  std::size_t offset(std::span<const std::size_t> index) const {
    const auto dims = shape();
    if (dims.size() != index.size()) detail::throw_out_of_range(dims, index);
    std::size_t at = 0;
    for (std::size_t d = 0; d < dims.size(); ++d) {
      if (index[d] >= dims[d]) detail::throw_out_of_range(dims, index);
      at = at * dims[d] + index[d];
    }
    return at;
  }

  std::shared_ptr<detail::ArrayData> data_;
  std::shared_ptr<std::vector<T>> vector_;  // the vector that data_ points into, if there is one
};

/// Library access to the storage of an Array.
template <class T>
struct ArrayAccess {
  static void attach(Array<T>& array, std::shared_ptr<const detail::StoredValue> stored) {
    array.data_ = detail::ArrayData::refer_to(std::move(stored));
    array.vector_ = nullptr;
  }
  static const detail::StoredValue* stored(const Array<T>& array) { return array.data_->stored(); }
  static int spool_file(const Array<T>& array) { return array.data_->spool_file(); }
};

namespace detail {

template <class T>
struct Convert<Array<T>> {
  static constexpr bool kStorable = Element<T>;
  static constexpr unsigned kCategory = kNdarray;
  static void encode(Pickler& out, const Array<T>& value) {
    const auto& data = value.loaded();
    out.array(kElementType<T>, sizeof(T), data.shape(), {data.data(), data.bytes()});
  }
  static void decode(const Value& value, const Place& place, Array<T>& into) {
    into.data_ = ArrayData::read(value, place, kElementType<T>, sizeof(T));
    into.vector_ = nullptr;
  }
};

}  // namespace detail
}  // namespace metaflow
