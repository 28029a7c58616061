// Reads the dependencies and function names of an executable or a shared library. Any file may be passed: a malformed
// one never causes a read outside the file.
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
  std::string interpreter;    // path of the loader; empty: a static program, or a library
  std::string soname;
  std::vector<std::string> needed;
  std::vector<std::string> rpath;    // searched before LD_LIBRARY_PATH; empty if there is a runpath
  std::vector<std::string> runpath;  // searched after LD_LIBRARY_PATH
};

/// Reads a 64-bit ELF file. Throws Error{invalid_command}, which names `path`, if the file is not one or is damaged.
Elf read_elf(std::span<const std::byte> file, const std::string& path);

struct ElfFunction {
  std::uint64_t address = 0;
  std::uint64_t size = 0;      // 0: unknown
  const char* name = nullptr;  // mangled; points into the file
};
struct ElfSymbols {
  std::vector<ElfFunction> functions{};  // by address
  bool has_lines = false;                // there is debug information with source lines
};

/// The functions of the symbol table; without one, the functions that a library exports. Empty for a file that is not
/// 64-bit ELF for this kind of machine. Damaged entries are skipped.
ElfSymbols read_elf_symbols(std::span<const std::byte> file);

/// "x86-64", "machine 243"
std::string machine_name(std::uint16_t machine);
/// The name of the machine in `uname -m`: "x86_64", "aarch64"; empty if unknown.
std::string_view uname_machine(std::uint16_t machine);
/// The name of the machine in Kubernetes and container images: "amd64", "arm64"; empty if unknown.
std::string_view image_architecture(std::uint16_t machine);

}  // namespace metaflow::base
