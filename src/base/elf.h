// What an executable or a shared library says of itself: what it is loaded with, and what its functions are called. Any
// file may be given: nothing outside of it is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace metaflow::base {

struct Elf {
  std::uint16_t machine = 0;  // EM_X86_64, EM_AARCH64, ...
  std::string interpreter;    // the loader; empty: a static program, or a library
  std::string soname;
  std::vector<std::string> needed;
  std::vector<std::string> rpath;    // searched before LD_LIBRARY_PATH; empty if there is a runpath
  std::vector<std::string> runpath;  // searched after it
};

/// Reads a file of 64 bits, as they are all built for today. Throws Error{invalid_command}, which names `path`, for
/// what is no such file, or is damaged.
Elf read_elf(std::span<const std::byte> file, const std::string& path);

struct ElfFunction {
  std::uint64_t address = 0;
  std::uint64_t size = 0;      // 0: unknown
  const char* name = nullptr;  // mangled; in the file
};
struct ElfSymbols {
  std::vector<ElfFunction> functions{};  // by address
  bool has_lines = false;                // debug information tells the lines of the source
};

/// The functions of the symbol table, else those that a library exports. Empty for what is no file of 64 bits for this
/// kind of machine; what is damaged is left out.
ElfSymbols read_elf_symbols(std::span<const std::byte> file);

/// "x86-64", "machine 243"
std::string machine_name(std::uint16_t machine);
/// What `uname -m` says on such a machine: "x86_64", "aarch64"; empty if unknown.
std::string_view uname_machine(std::uint16_t machine);
/// What Kubernetes and container images call it: "amd64", "arm64"; empty if unknown.
std::string_view image_architecture(std::uint16_t machine);

}  // namespace metaflow::base
