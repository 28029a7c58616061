#include "base/elf.h"

#include <elf.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <optional>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"

namespace metaflow::base {

namespace {

static_assert(std::endian::native == std::endian::little, "the code reads structures in the byte order of the file");

struct Architecture {
  std::uint16_t number;
  const char* name;
  const char* uname;
  const char* image;
};
constexpr Architecture kMachines[] = {
    {EM_X86_64, "x86-64", "x86_64", "amd64"},    {EM_AARCH64, "aarch64", "aarch64", "arm64"},
    {EM_PPC64, "ppc64", "ppc64le", "ppc64le"},   {EM_S390, "s390x", "s390x", "s390x"},
    {EM_RISCV, "riscv64", "riscv64", "riscv64"}, {EM_386, "x86 (32 bits)", "i686", "386"},
    {EM_ARM, "arm (32 bits)", "armv7l", "arm"}};

const Architecture* find_machine(std::uint16_t number) {
  for (const Architecture& machine : kMachines) {
    if (machine.number == number) return &machine;
  }
  return nullptr;
}

bool is_elf(std::span<const std::byte> file) {
  return file.size() >= EI_NIDENT && std::memcmp(file.data(), ELFMAG, SELFMAG) == 0;
}

unsigned identity(std::span<const std::byte> file, std::size_t index) { return std::to_integer<unsigned>(file[index]); }

/// The tables of a file. Checks every offset and size: nothing outside the file is read.
class ElfTables {
 public:
  explicit ElfTables(std::span<const std::byte> file) : file_(file) {}

  template <class T>
  std::optional<T> at(std::uint64_t offset) const {
    if (offset > file_.size() || file_.size() - offset < sizeof(T)) return std::nullopt;
    T value;  // copied: a damaged file may have it anywhere
    std::memcpy(&value, file_.data() + offset, sizeof value);
    return value;
  }

  /// The text at `offset`, which must end before `end`; null if it does not, or is outside the file.
  const char* text(std::uint64_t offset, std::uint64_t end) const {
    end = std::min<std::uint64_t>(end, file_.size());
    if (offset >= end) return nullptr;
    const char* const text = reinterpret_cast<const char*>(file_.data() + offset);
    return std::memchr(text, 0, end - offset) == nullptr ? nullptr : text;
  }

  std::uint64_t size() const { return file_.size(); }

 private:
  std::span<const std::byte> file_;
};

/// Reads the dependencies of a program.
class DependencyReader {
 public:
  DependencyReader(std::span<const std::byte> file, const std::string& path)
      : file_(file), tables_(file), path_(path) {}

  Elf read() {
    if (!is_elf(file_)) {
      const bool script = as_text(file_).starts_with("#!");
      throw refusal(script ? "is a script, not an executable" : "is not an ELF file, so not an executable for Linux");
    }
    if (identity(file_, EI_DATA) != ELFDATA2LSB) throw refusal("is for a big-endian machine");
    if (identity(file_, EI_CLASS) != ELFCLASS64) throw refusal("is for a machine of 32 bits");
    const auto header = at<Elf64_Ehdr>(0);
    if (header.e_type != ET_EXEC && header.e_type != ET_DYN) throw refusal("is neither a program nor a shared library");
    elf_.machine = header.e_machine;
    for (unsigned i = 0; i < header.e_phnum; ++i)
      segments_.push_back(at<Elf64_Phdr>(header.e_phoff + std::uint64_t{i} * sizeof(Elf64_Phdr)));
    for (const Elf64_Phdr& segment : segments_) {
      if (segment.p_type == PT_INTERP) elf_.interpreter = text(segment.p_offset);
      if (segment.p_type == PT_DYNAMIC) read_dynamic(segment);
    }
    return std::move(elf_);
  }

 private:
  Error refusal(std::string_view why) const { return {ErrorCode::invalid_command, fmt::format("'{}' {}", path_, why)}; }

  template <class T>
  T at(std::uint64_t offset) const {
    const auto found = tables_.at<T>(offset);
    if (!found) throw refusal("is damaged: the file is truncated");
    return *found;
  }

  std::string text(std::uint64_t offset) const {
    if (offset >= tables_.size()) throw refusal("is damaged: a name lies outside the file");
    const char* const found = tables_.text(offset, tables_.size());
    if (found == nullptr) throw refusal("is damaged: a name is not terminated");
    return found;
  }

  /// The position in the file of an address in memory.
  std::uint64_t offset_of(std::uint64_t address) const {
    for (const Elf64_Phdr& segment : segments_) {
      if (segment.p_type == PT_LOAD && address >= segment.p_vaddr && address - segment.p_vaddr < segment.p_filesz)
        return segment.p_offset + (address - segment.p_vaddr);
    }
    throw refusal("is damaged: its names are not in the file");
  }

  void read_dynamic(const Elf64_Phdr& segment) {
    std::vector<Elf64_Dyn> entries;
    std::optional<std::uint64_t> names;
    for (std::uint64_t read = 0; read + sizeof(Elf64_Dyn) <= segment.p_filesz; read += sizeof(Elf64_Dyn)) {
      const auto entry = at<Elf64_Dyn>(segment.p_offset + read);
      if (entry.d_tag == DT_NULL) break;
      if (entry.d_tag == DT_STRTAB) names = entry.d_un.d_ptr;
      entries.push_back(entry);
    }
    for (const Elf64_Dyn& entry : entries) {
      std::vector<std::string>* paths = entry.d_tag == DT_RPATH     ? &elf_.rpath
                                        : entry.d_tag == DT_RUNPATH ? &elf_.runpath
                                                                    : nullptr;
      if (paths == nullptr && entry.d_tag != DT_NEEDED && entry.d_tag != DT_SONAME) continue;
      if (!names) throw refusal("is damaged: it has no string table");
      const std::string name = text(offset_of(*names) + entry.d_un.d_val);
      if (entry.d_tag == DT_NEEDED) elf_.needed.push_back(name);
      if (entry.d_tag == DT_SONAME) elf_.soname = name;
      if (paths != nullptr) *paths = split(name, ':');
    }
    if (!elf_.runpath.empty()) elf_.rpath.clear();
  }

  std::span<const std::byte> file_;
  ElfTables tables_;
  const std::string& path_;
  std::vector<Elf64_Phdr> segments_;
  Elf elf_;
};

/// Reads the names of functions.
class SymbolReader {
 public:
  explicit SymbolReader(std::span<const std::byte> file) : file_(file), tables_(file) {}

  ElfSymbols read() {
    const auto header = tables_.at<Elf64_Ehdr>(0);
    if (!header || !is_elf(file_) || identity(file_, EI_DATA) != ELFDATA2LSB || identity(file_, EI_CLASS) != ELFCLASS64)
      return {};
    header_ = *header;
    for (const unsigned type : {SHT_SYMTAB, SHT_DYNSYM}) {
      for (unsigned i = 0; i < header_.e_shnum; ++i) {
        const auto found = section(i);
        if (found && found->sh_type == type) read_functions(*found);
      }
      if (!symbols_.functions.empty()) break;
    }
    std::sort(symbols_.functions.begin(), symbols_.functions.end(),
              [](const ElfFunction& a, const ElfFunction& b) { return a.address < b.address; });
    symbols_.has_lines = has_section(".debug_line");
    return std::move(symbols_);
  }

 private:
  std::optional<Elf64_Shdr> section(std::uint64_t index) const {
    return tables_.at<Elf64_Shdr>(header_.e_shoff + index * sizeof(Elf64_Shdr));
  }

  const char* text_in(const Elf64_Shdr& strings, std::uint64_t offset) const {
    if (offset >= strings.sh_size || strings.sh_offset > tables_.size() ||
        tables_.size() - strings.sh_offset < strings.sh_size)
      return nullptr;
    return tables_.text(strings.sh_offset + offset, strings.sh_offset + strings.sh_size);
  }

  void read_functions(const Elf64_Shdr& table) {
    const auto strings = section(table.sh_link);
    if (!strings) return;
    for (std::uint64_t read = 0; read + sizeof(Elf64_Sym) <= table.sh_size; read += sizeof(Elf64_Sym)) {
      const auto symbol = tables_.at<Elf64_Sym>(table.sh_offset + read);
      if (!symbol) return;
      if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_value == 0) continue;
      if (const char* name = text_in(*strings, symbol->st_name))
        symbols_.functions.push_back({symbol->st_value, symbol->st_size, name});
    }
  }

  bool has_section(const char* wanted) const {
    const auto names = section(header_.e_shstrndx);
    for (unsigned i = 0; names && i < header_.e_shnum; ++i) {
      const auto found = section(i);
      const char* const name = found ? text_in(*names, found->sh_name) : nullptr;
      if (name != nullptr && std::strcmp(name, wanted) == 0) return true;
    }
    return false;
  }

  std::span<const std::byte> file_;
  ElfTables tables_;
  Elf64_Ehdr header_{};
  ElfSymbols symbols_;
};

}  // namespace

Elf read_elf(std::span<const std::byte> file, const std::string& path) { return DependencyReader(file, path).read(); }

ElfSymbols read_elf_symbols(std::span<const std::byte> file) { return SymbolReader(file).read(); }

std::string machine_name(std::uint16_t machine) {
  const Architecture* const known = find_machine(machine);
  return known != nullptr ? known->name : fmt::format("machine {}", machine);
}

std::string_view uname_machine(std::uint16_t machine) {
  const Architecture* const known = find_machine(machine);
  return known != nullptr ? known->uname : "";
}

std::string_view image_architecture(std::uint16_t machine) {
  const Architecture* const known = find_machine(machine);
  return known != nullptr ? known->image : "";
}

}  // namespace metaflow::base
