// Stack traces as text: functions and, with debug information, lines.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace metaflow::base {

inline constexpr std::size_t kMaxFrames = 64;

/// Return addresses, innermost first. capture_stack allocates no memory and may be called in a signal handler.
struct RawStack {
  std::array<void*, kMaxFrames> frames{};
  std::size_t size = 0;
};
RawStack capture_stack();

/// A frame as a file and a position in it, so that another process can resolve it.
struct CodeLocation {
  std::string module;         // path of the executable or library
  std::uint64_t address = 0;  // as in the symbol table of the module
};
std::vector<CodeLocation> locate(const RawStack& stack);

/// One line per frame, "BigSum::start() at bigsum.cc:20". Omits the C++ runtime at the inner end and the library's
/// frames at the outer end. Uses the symbol tables, and addr2line if it is installed and there is debug information.
std::vector<std::string> describe(std::span<const CodeLocation> locations);

/// The source spelling of a type or function: "std::vector<std::string>", without allocators.
std::string demangle(const char* name);

}  // namespace metaflow::base
