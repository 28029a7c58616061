#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include <metaflow/array.h>
#include <metaflow/error.h>

#include "base/failure_points.h"
#include "base/files.h"
#include "base/format.h"
#include "base/temporary.h"
#include "value/elements.h"
#include "value/nodes.h"
#include "value/spool.h"

namespace metaflow::detail {

namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kMapFrom = 1U << 20;  // larger blocks come from mmap: the kernel zeroes each page on first use

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
    // Let operator new report the failure (and call the new-handler).
    return {::operator new(bytes, std::align_val_t{kAlignment}),
            [](void* p) { ::operator delete(p, std::align_val_t{kAlignment}); }};
  }
  return {memory, [bytes](void* p) { ::munmap(p, bytes); }};
}

}  // namespace

std::size_t element_count(std::span<const std::size_t> shape) { return byte_count(shape, 1); }

void throw_bad_shape(std::span<const std::size_t> shape, std::size_t elements) {
  throw Error(ErrorCode::invalid_value, fmt::format("An array of shape {} has {} elements, not {}", shape_text(shape),
                                                    element_count(shape), elements));
}

void throw_out_of_range(std::span<const std::size_t> shape, std::span<const std::size_t> index) {
  throw Error(ErrorCode::invalid_value,
              fmt::format("Index {} is out of range for an array of shape {}", shape_text(index), shape_text(shape)));
}

std::shared_ptr<ArrayData> ArrayData::refer_to(std::shared_ptr<const StoredValue> stored) {
  return std::make_shared<ArrayData>(std::move(stored));
}

std::shared_ptr<ArrayData> ArrayData::read(const Value& value, const Place& place, char type, std::size_t item_size) {
  auto data = zeros({0}, item_size);
  data->assign(value, place, type, item_size, nullptr);
  return data;
}

std::shared_ptr<ArrayData> ArrayData::zeros(std::vector<std::size_t> shape, std::size_t item_size) {
  return std::make_shared<ArrayData>(std::move(shape), item_size);
}

std::shared_ptr<ArrayData> ArrayData::sharing(std::vector<std::size_t> shape, std::size_t item_size, std::byte* data,
                                              std::shared_ptr<void> owner) {
  return std::make_shared<ArrayData>(std::move(shape), item_size, data, std::move(owner));
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

ArrayData::ArrayData(std::vector<std::size_t> shape, std::shared_ptr<ArrayData> base)
    : shape_(std::move(shape)), data_(base->data_), bytes_(base->bytes_), base_(std::move(base)) {
  loaded_.set_done();
}

std::shared_ptr<ArrayData> no_array_data() noexcept {
  static const auto none = std::make_shared<ArrayData>(std::vector<std::size_t>{0}, 1);
  return none;
}

ArrayData::~ArrayData() {
  if (spool_file_ >= 0) ::close(spool_file_);
}

std::shared_ptr<ArrayData> ArrayData::on_disk(char type, std::vector<std::size_t> shape, std::size_t item_size) {
  const std::size_t bytes = byte_count(shape, item_size);
  // The file is the payload as it will be stored: the part of the pickle before the elements, the elements, the part
  // after them.
  Pickler pickler{ValuesOutlive{}};
  const std::byte* nowhere =
      reinterpret_cast<const std::byte*>(kAlignment);  // never read: only its position in the payload matters
  pickler.array(type, item_size, shape, {nowhere, bytes});
  pickler.finish();
  const std::size_t total = pickler.size();

  std::size_t elements_at = 0;
  auto map = [&](const base::Fd& file) {
    if (::ftruncate(file.get(), static_cast<off_t>(total)) != 0)
      base::throw_errno("enlarge", "an array on disk", errno);
    std::size_t at = 0;
    for (const auto& part : pickler.parts()) {
      if (part.data() == nowhere) {
        elements_at = at;
      } else if (::pwrite(file.get(), part.data(), part.size(), static_cast<off_t>(at)) !=
                 static_cast<ssize_t>(part.size())) {
        base::throw_errno("write", "an array on disk", errno);
      }
      at += part.size();
    }
    return base::fails_at("map") ? MAP_FAILED
                                 : ::mmap(nullptr, total, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  };

  base::Fd file = value::open_spool_file();
  void* memory = map(file);
  if (memory == MAP_FAILED && (errno == ENODEV || errno == EOPNOTSUPP)) {
    // The file system of the store does not support it. Then the payload is written once more when it is saved.
    memory = map(base::Fd(base::make_temporary_file().release()));
    file.reset();
  }
  if (memory == MAP_FAILED) base::throw_errno("map", "an array on disk", errno);
  std::shared_ptr<void> owner(memory, [total](void* p) { ::munmap(p, total); });
  auto data = std::make_shared<ArrayData>(std::move(shape), item_size, static_cast<std::byte*>(memory) + elements_at,
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
  std::vector<std::size_t> shape = shape_from(value, place);
  if (memory != nullptr && value.kind() == Kind::array && same_elements(value, type, item_size)) {
    const auto elements = value.array().bytes;
    const std::size_t alignment = type == 'c' ? item_size / 2 : item_size;
    const auto* source = ValueBuilder::array_of(value)->source;
    // Keep the payload itself if possible: the only owner of a mapped file may write to it, see make_writable().
    if (source != nullptr) memory = source->owner();
    if (memory != nullptr && reinterpret_cast<std::uintptr_t>(elements.data()) % alignment == 0) {
      shape_ = std::move(shape);
      data_ = const_cast<std::byte*>(elements.data());
      bytes_ = elements.size();
      owner_ = std::const_pointer_cast<void>(memory);
      read_only_ = true;
      return;
    }
  }
  const std::size_t bytes = byte_count(shape, item_size);
  auto owner = allocate(bytes);
  auto* data = static_cast<std::byte*>(owner.get());
  if (bytes > 0 || value.kind() != Kind::array) convert_elements(value, place, type, item_size, shape, data);
  shape_ = std::move(shape);
  data_ = data;
  bytes_ = bytes;
  owner_ = std::move(owner);
  read_only_ = false;
}

std::byte* ArrayData::writable(std::shared_ptr<ArrayData>& data) {
  ArrayData& current = *data;
  if (data.use_count() == 1) {
    if (current.base_ != nullptr && current.base_.use_count() == 1) {  // the reshaped array no longer exists
      current.data_ = writable(current.base_);
      return current.data_;
    }
    if (current.base_ == nullptr && (!current.read_only_ || current.make_writable())) {
      current.stored_ = nullptr;
      return current.data_;
    }
  }
  const std::size_t elements = element_count(current.shape_);
  auto copy = std::make_shared<ArrayData>(current.shape_, elements == 0 ? 1 : current.bytes_ / elements);
  if (current.bytes_ > 0) std::memcpy(copy->data_, current.data_, current.bytes_);
  data = std::move(copy);
  return data->data_;
}

bool ArrayData::make_writable() {
  if (bytes_ < kMapFrom || owner_.use_count() != 1) return false;
  // A private mapping of a stored file: the kernel copies the pages that are written.
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(data_) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(data_) + bytes_;
  if (::mprotect(reinterpret_cast<void*>(begin), end - begin, PROT_READ | PROT_WRITE) != 0) return false;
  read_only_ = false;
  return true;
}

}  // namespace metaflow::detail
