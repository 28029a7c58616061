// What a package is made from: executables, the loader's cache, what supervisors write.
#include <cstring>
#include <string>

#include "base/elf.h"
#include "base/text.h"
#include "compute/package/libraries.h"
#include "readers.h"
#include "store/exit_report.h"

namespace metaflow::fuzz {

void take_elf(std::string_view input) {
  for (const base::ElfFunction& function : base::read_elf_symbols(base::as_bytes(input)).functions)
    require(function.name + std::strlen(function.name) < input.data() + input.size(), "a name ends in the file");
  succeeds({ErrorCode::invalid_command}, [&] {
    const base::Elf elf = base::read_elf(base::as_bytes(input), "x");
    for (const std::string& name : elf.needed) require(name.find('\0') == std::string::npos, "a name ends at its end");
  });
}

void take_loader_cache(std::string_view input) {
  for (const auto& [name, paths] : compute::read_loader_cache(base::as_bytes(input))) {
    require(!name.empty(), "a library has a name");
    for (const std::string& path : paths) require(path.starts_with('/'), "a path is absolute");
  }
}

void take_exit_report(std::string_view input) {
  succeeds({ErrorCode::data_store}, [&] {
    const store::ExitReport report = store::exit_report_from_json(input, "x");
    const std::string text = store::to_json(report);
    require(store::to_json(store::exit_report_from_json(text, "x")) == text, "what was written is read");
  });
}

}  // namespace metaflow::fuzz
