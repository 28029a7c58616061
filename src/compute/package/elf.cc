#include "compute/package/elf.h"

#include <elf.h>

#include <bit>
#include <cstring>
#include <iterator>
#include <optional>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"

namespace metaflow::compute {

namespace {

static_assert(std::endian::native == std::endian::little, "files are read as they lie in memory");

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

class Reader {
 public:
  Reader(std::span<const std::byte> file, const std::string& path) : file_(file), path_(path) {}

  Elf read() {
    if (file_.size() < EI_NIDENT || std::memcmp(file_.data(), ELFMAG, SELFMAG) != 0) {
      const bool script = base::as_text(file_).starts_with("#!");
      throw refusal(script ? "is a script, no executable" : "is no ELF file, so no executable for Linux");
    }
    if (identity(EI_DATA) != ELFDATA2LSB) throw refusal("is for a big-endian machine");
    if (identity(EI_CLASS) != ELFCLASS64) throw refusal("is for a machine of 32 bits");
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
  unsigned identity(std::size_t index) const { return std::to_integer<unsigned>(file_[index]); }

  Error refusal(std::string_view why) const { return {ErrorCode::invalid_command, fmt::format("'{}' {}", path_, why)}; }

  template <class T>
  T at(std::uint64_t offset) const {
    T value;
    if (offset > file_.size() || file_.size() - offset < sizeof value) throw refusal("is damaged: it is cut off");
    std::memcpy(&value, file_.data() + offset, sizeof value);
    return value;
  }

  std::string text(std::uint64_t offset) const {
    if (offset >= file_.size()) throw refusal("is damaged: a name lies outside of it");
    const std::string_view rest = base::as_text(file_.subspan(offset));
    const std::size_t end = rest.find('\0');
    if (end == std::string_view::npos) throw refusal("is damaged: a name has no end");
    return std::string(rest.substr(0, end));
  }

  /// Where in the file an address of memory comes from.
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
      if (!names) throw refusal("is damaged: it has no table of names");
      const std::string name = text(offset_of(*names) + entry.d_un.d_val);
      if (entry.d_tag == DT_NEEDED) elf_.needed.push_back(name);
      if (entry.d_tag == DT_SONAME) elf_.soname = name;
      if (paths != nullptr) *paths = base::split(name, ':');
    }
    if (!elf_.runpath.empty()) elf_.rpath.clear();
  }

  std::span<const std::byte> file_;
  const std::string& path_;
  std::vector<Elf64_Phdr> segments_;
  Elf elf_;
};

}  // namespace

Elf read_elf(std::span<const std::byte> file, const std::string& path) { return Reader(file, path).read(); }

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

}  // namespace metaflow::compute
