// libFuzzer's entry to one reader.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "readers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace metaflow::fuzz;
  static const Reader reader = [] {
    for (const Reader& candidate : readers()) {
      if (candidate.name == METAFLOW_READER) return candidate;
    }
    require(false, "there is a reader of this name");
    return readers()[0];
  }();
  reader.take({reinterpret_cast<const char*>(data), size});
  return 0;
}
