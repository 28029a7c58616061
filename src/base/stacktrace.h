// Stacks as text: which functions, and where the binary tells, which lines.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace metaflow::base {

inline constexpr std::size_t kMaxFrames = 64;

/// Return addresses, innermost first. Capturing allocates nothing and can be done in a signal handler.
struct RawStack {
  std::array<void*, kMaxFrames> frames{};
  std::size_t size = 0;
};
RawStack capture_stack();

/// A frame by file and position in it, so that another process can look it up.
struct CodeLocation {
  std::string module;         // path of the executable or library
  std::uint64_t address = 0;  // as in its symbol table
};
std::vector<CodeLocation> locate(const RawStack& stack);

/// One line per frame, "BigSum::start() at bigsum.cc:20", without the C++ runtime at the inner end and the one that
/// called the step at the outer end. Uses the symbol tables, and addr2line where it is installed and there is debug
/// information.
std::vector<std::string> describe(std::span<const CodeLocation> locations);

/// A type's or function's name as a programmer writes it: "std::vector<std::string>", without allocators.
std::string demangle(const char* name);

}  // namespace metaflow::base
