#include <metaflow/array.h>

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <new>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/text.h"
#include "value/nodes.h"
#include "value/spool.h"

namespace metaflow::detail {

namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kMapFrom =
    1U << 20;  // larger blocks come from mmap: zeroed by the kernel page by page when touched

std::string shape_text(std::span<const std::size_t> shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

std::size_t byte_count(std::span<const std::size_t> shape, std::size_t item_size) {
  std::size_t bytes = item_size;
  for (std::size_t size : shape) {
    if (__builtin_mul_overflow(bytes, size, &bytes))
      throw Error(ErrorCode::invalid_value, fmt::format("An array of shape {} is too large", shape_text(shape)));
  }
  return bytes;
}

/// Zeroed, aligned memory.
std::shared_ptr<void> allocate(std::size_t bytes) {
  if (bytes < kMapFrom) {
    void* memory = ::operator new(bytes == 0 ? 1 : bytes, std::align_val_t{kAlignment});
    std::memset(memory, 0, bytes);
    return {memory, [](void* p) { ::operator delete(p, std::align_val_t{kAlignment}); }};
  }
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    // Let operator new fail in its own words (and call the new-handler).
    return {::operator new(bytes, std::align_val_t{kAlignment}),
            [](void* p) { ::operator delete(p, std::align_val_t{kAlignment}); }};
  }
  return {memory, [bytes](void* p) { ::munmap(p, bytes); }};
}

template <class T>
void put(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof(T));
}

/// One element as the type that is wanted; errors if it does not fit.
void convert_element(const Value& value, const Place& place, char type, std::size_t item_size, std::byte* at) {
  auto integer = [&]<class T>(T) {
    put(at, static_cast<T>(integer_from(value, place, std::numeric_limits<T>::min(), std::numeric_limits<T>::max())));
  };
  auto unsigned_integer = [&]<class T>(T) {
    put(at, static_cast<T>(unsigned_from(value, place, std::numeric_limits<T>::max())));
  };
  auto real = [&]<class T>(T) {
    put(at, static_cast<T>(real_from(value, place, static_cast<double>(std::numeric_limits<T>::max()))));
  };
  auto complex = [&]<class T>(T) {
    double re = 0;
    double im = 0;
    complex_from(value, place, re, im);
    put(at, static_cast<T>(re));
    put(at + sizeof(T), static_cast<T>(im));
  };
  switch (type) {
    case 'b': return put(at, boolean_from(value, place));
    case 'i':
      switch (item_size) {
        case 1: return integer(std::int8_t{});
        case 2: return integer(std::int16_t{});
        case 4: return integer(std::int32_t{});
        default: return integer(std::int64_t{});
      }
    case 'u':
      switch (item_size) {
        case 1: return unsigned_integer(std::uint8_t{});
        case 2: return unsigned_integer(std::uint16_t{});
        case 4: return unsigned_integer(std::uint32_t{});
        default: return unsigned_integer(std::uint64_t{});
      }
    case 'f': return item_size == 4 ? real(float{}) : real(double{});
    default: return item_size == 8 ? complex(float{}) : complex(double{});
  }
}

/// All elements of nested lists or an array, row-major; gives back where the next one goes.
std::byte* convert_elements(const Value& value, const Place& place, char type, std::size_t item_size,
                            std::span<const std::size_t> shape, std::byte* at) {
  if (shape.empty()) {
    convert_element(value, place, type, item_size, at);
    return at + item_size;
  }
  const std::size_t size = sequence_from(value, place);
  if (size != shape[0]) throw_wrong_size(value, place, shape[0]);
  for (std::size_t i = 0; i < size; ++i)
    at = convert_elements(value[i], Place{&place, {}, i}, type, item_size, shape.subspan(1), at);
  return at;
}

}  // namespace

std::size_t element_count(std::span<const std::size_t> shape) { return byte_count(shape, 1); }

void throw_bad_shape(std::span<const std::size_t> shape, std::size_t elements) {
  throw Error(ErrorCode::invalid_value, fmt::format("An array of shape {} has {} elements, not {}", shape_text(shape),
                                                    element_count(shape), elements));
}

void throw_out_of_range(std::span<const std::size_t> shape, std::span<const std::size_t> index) {
  throw Error(ErrorCode::invalid_value,
              fmt::format("Index {} of an array of shape {}", shape_text(index), shape_text(shape)));
}

ArrayData::ArrayData(std::shared_ptr<const StoredValue> stored) : stored_(std::move(stored)), read_only_(true) {}

ArrayData::ArrayData(std::vector<std::size_t> shape, std::size_t item_size)
    : shape_(std::move(shape)), bytes_(byte_count(shape_, item_size)) {
  owner_ = allocate(bytes_);
  data_ = static_cast<std::byte*>(owner_.get());
  loaded_.set_done();
}

ArrayData::ArrayData(std::vector<std::size_t> shape, std::size_t item_size, std::byte* data,
                     std::shared_ptr<void> owner)
    : shape_(std::move(shape)), data_(data), bytes_(byte_count(shape_, item_size)), owner_(std::move(owner)) {
  loaded_.set_done();
}

ArrayData::~ArrayData() {
  if (spool_file_ >= 0) ::close(spool_file_);
}

std::shared_ptr<ArrayData> ArrayData::on_disk(char type, std::vector<std::size_t> shape, std::size_t item_size) {
  const std::size_t bytes = byte_count(shape, item_size);
  // The file is the payload as it will be stored: what the pickle has before the elements, the elements, what it has
  // after them.
  Pickler pickler;
  const std::byte* nowhere =
      reinterpret_cast<const std::byte*>(kAlignment);  // never read: only its place in the payload matters
  pickler.array(type, item_size, shape, {nowhere, bytes});
  pickler.finish();
  const auto parts = pickler.parts();
  const auto before = parts.front();
  const auto after = parts.back();
  const std::size_t total = pickler.size();

  base::Fd file = value::open_spool_file();
  auto write = [&](std::span<const std::byte> part, std::size_t at) {
    if (::pwrite(file.get(), part.data(), part.size(), static_cast<off_t>(at)) != static_cast<ssize_t>(part.size()))
      base::throw_errno("write", "an array on disk", errno);
  };
  if (::ftruncate(file.get(), static_cast<off_t>(total)) != 0) base::throw_errno("enlarge", "an array on disk", errno);
  write(before, 0);
  write(after, total - after.size());

  void* memory = ::mmap(nullptr, total, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED) base::throw_errno("map", "an array on disk", errno);
  std::shared_ptr<void> owner(memory, [total](void* p) { ::munmap(p, total); });
  auto data = std::make_shared<ArrayData>(std::move(shape), item_size, static_cast<std::byte*>(memory) + before.size(),
                                          std::move(owner));
  data->spool_file_ = file.release();
  return data;
}

void ArrayData::load(char type, std::size_t item_size) {
  loaded_([&] {
    const Document document = stored_->read();
    assign(document.root(), Place{nullptr, stored_->name(), 0}, type, item_size, document.memory());
  });
}

void ArrayData::assign(const Value& value, const Place& place, char type, std::size_t item_size,
                       std::shared_ptr<const void> memory) {
  std::vector<std::size_t> shape;
  bool as_it_is = false;
  if (value.kind() == Kind::array) {
    const ArrayView view = value.array();
    shape.assign(view.shape.begin(), view.shape.end());
    as_it_is = view.type == type && view.item_size == item_size && !view.big_endian && !view.column_major;
    if (as_it_is && memory != nullptr) {
      shape_ = std::move(shape);
      data_ = const_cast<std::byte*>(view.bytes.data());
      bytes_ = view.bytes.size();
      owner_ = std::const_pointer_cast<void>(memory);
      read_only_ = true;
      return;
    }
  } else {  // a list, or lists of lists
    if (value.kind() != Kind::list && value.kind() != Kind::tuple) throw_misfit(value, place, "an array");
    for (Value level = value; level.kind() == Kind::list || level.kind() == Kind::tuple; level = level[0]) {
      shape.push_back(level.size());
      if (level.size() == 0 || shape.size() > 32) break;
    }
  }
  const std::size_t bytes = byte_count(shape, item_size);
  auto owner = allocate(bytes);
  auto* data = static_cast<std::byte*>(owner.get());
  if (!as_it_is) {
    convert_elements(value, place, type, item_size, shape, data);
  } else if (bytes > 0) {
    std::memcpy(data, value.array().bytes.data(), bytes);
  }
  shape_ = std::move(shape);
  data_ = data;
  bytes_ = bytes;
  owner_ = std::move(owner);
  read_only_ = false;
}

std::byte* ArrayData::writable(std::shared_ptr<ArrayData>& data) {
  ArrayData& current = *data;
  const bool ours = data.use_count() == 1;
  if (ours && !current.read_only_) {
    current.stored_ = nullptr;
    return current.data_;
  }
  if (ours && current.owner_.use_count() == 1 && current.bytes_ >= kMapFrom) {
    // A private mapping of a stored file: let the kernel copy the pages that are written to.
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto begin = reinterpret_cast<std::uintptr_t>(current.data_) / page * page;
    const auto end = reinterpret_cast<std::uintptr_t>(current.data_) + current.bytes_;
    if (::mprotect(reinterpret_cast<void*>(begin), end - begin, PROT_READ | PROT_WRITE) == 0) {
      current.read_only_ = false;
      current.stored_ = nullptr;
      return current.data_;
    }
  }
  const std::size_t item_size =
      current.bytes_ == 0 ? 1 : current.bytes_ / std::max<std::size_t>(1, element_count(current.shape_));
  auto copy = std::make_shared<ArrayData>(current.shape_, item_size);
  if (current.bytes_ > 0) std::memcpy(copy->data_, current.data_, current.bytes_);
  data = std::move(copy);
  return data->data_;
}

}  // namespace metaflow::detail
