#include "python/array_api.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <metaflow/detail/pickler.h>
#include <metaflow/error.h>
#include <metaflow/value.h>

#include "base/bytes.h"
#include "base/files.h"
#include "python/c_errors.h"
#include "value/unpickler.h"

using metaflow::ArrayView;
using metaflow::python::guarded;

namespace {

constexpr std::string_view kTypes = "biufc";

std::span<const std::byte> bytes_of(const metaflow_bytes& bytes) {
  return {static_cast<const std::byte*>(bytes.data), bytes.size};
}

}  // namespace

int metaflow_read_array(const metaflow_bytes* payload, metaflow_array* into) {
  return guarded(0, [&] {
    const metaflow::base::SharedBytes bytes(bytes_of(*payload), std::shared_ptr<const void>());
    const metaflow::Document document = metaflow::value::read_pickle(bytes);
    if (document.root().kind() != metaflow::Kind::array) return 0;
    const ArrayView view = document.root().array();
    if (kTypes.find(view.type) == std::string_view::npos || view.shape.size() > METAFLOW_MAX_DIMENSIONS) return 0;
    if (view.big_endian && view.item_size > 1) return 0;
    // Elements of another place would be gone with the document.
    if (view.bytes.data() < bytes.bytes().data() ||
        view.bytes.data() + view.bytes.size() > bytes.bytes().data() + bytes.size())
      return 0;
    into->type = view.type;
    into->column_major = view.column_major ? 1 : 0;
    into->item_size = view.item_size;
    into->dimensions = view.shape.size();
    std::copy(view.shape.begin(), view.shape.end(), into->shape);
    into->elements = {view.bytes.data(), view.bytes.size()};
    return 1;
  });
}

int metaflow_is_written(const metaflow_bytes* memory) {
  // An entry per page; Linux, Documentation/admin-guide/mm/pagemap.rst. A page that was written to is a copy, and no
  // longer one of the file.
  constexpr std::uint64_t kIsOfFile = std::uint64_t{1} << 61;
  constexpr std::uint64_t kIsSwapped = std::uint64_t{1} << 62;
  constexpr std::uint64_t kIsPresent = std::uint64_t{1} << 63;
  const metaflow::base::Fd file(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  if (!file) return 1;
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::uintptr_t begin = reinterpret_cast<std::uintptr_t>(memory->data) / page;
  const std::uintptr_t end = (reinterpret_cast<std::uintptr_t>(memory->data) + memory->size + page - 1) / page;
  std::array<std::uint64_t, 8192> entries;
  for (std::uintptr_t at = begin; at < end;) {
    const std::size_t count = std::min<std::size_t>(entries.size(), end - at);
    const ssize_t size = ::pread(file.get(), entries.data(), count * sizeof(std::uint64_t),
                                 static_cast<off_t>(at * sizeof(std::uint64_t)));
    if (size <= 0 || static_cast<std::size_t>(size) % sizeof(std::uint64_t) != 0) return 1;
    const std::size_t read = static_cast<std::size_t>(size) / sizeof(std::uint64_t);
    for (std::size_t i = 0; i < read; ++i) {
      if ((entries[i] & kIsSwapped) != 0 || ((entries[i] & kIsPresent) != 0 && (entries[i] & kIsOfFile) == 0)) return 1;
    }
    at += read;
  }
  return 0;
}

int metaflow_write_array(const metaflow_array* array, metaflow_bytes* before, metaflow_bytes* behind) {
  static std::array<std::string, 2> around;
  return guarded(-1, [&] {
    ArrayView view;
    view.type = array->type;
    view.item_size = array->item_size;
    view.column_major = array->column_major != 0;
    view.shape = {array->shape, array->dimensions};
    view.bytes = bytes_of(array->elements);
    metaflow::detail::Pickler pickler{metaflow::detail::ValuesOutlive{}};
    pickler.array(view);
    pickler.finish();
    around = {};
    std::size_t side = 0;
    for (const std::span<const std::byte> part : pickler.parts()) {
      if (part.data() == view.bytes.data())
        ++side;  // it is not copied
      else
        around.at(side).append(reinterpret_cast<const char*>(part.data()), part.size());
    }
    if (side != 1)
      throw metaflow::Error(metaflow::ErrorCode::invalid_value,
                            "The elements of the array are not a part of its payload");
    *before = {around[0].data(), around[0].size()};
    *behind = {around[1].data(), around[1].size()};
    return 0;
  });
}
