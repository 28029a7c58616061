#include "base/elf.h"

#include <dlfcn.h>
#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/process.h"
#include "base/text.h"

namespace metaflow::base {
namespace {

using testing::Contains;
using testing::HasSubstr;

std::string refusal(std::string_view file) {
  try {
    read_elf(as_bytes(file), "x");
  } catch (const Error& error) {
    return error.message();
  }
  return {};
}

TEST(Elf, ReadsTheDependenciesOfThisProgram) {
  const std::string path = own_executable();
  const Elf elf = read_elf(read_file(path)->bytes(), path);
  EXPECT_THAT(elf.interpreter, HasSubstr("ld-"));
  EXPECT_THAT(elf.needed, Contains("libc.so.6"));
  EXPECT_FALSE(uname_machine(elf.machine).empty());
}

TEST(Elf, RejectsOtherFiles) {
  EXPECT_THAT(refusal("#!/bin/sh\nexit 0 # and some more text\n"), HasSubstr("is a script"));
  EXPECT_THAT(refusal(""), HasSubstr("not an ELF file"));
  EXPECT_THAT(refusal(std::string("\xcf\xfa\xed\xfe") + std::string(100, '\0')),
              HasSubstr("not an ELF file"));  // of macOS
}

TEST(Elf, RejectsOtherMachines) {
  std::string file(read_file(own_executable())->text().substr(0, 64));
  file[EI_CLASS] = ELFCLASS32;
  EXPECT_THAT(refusal(file), HasSubstr("32 bits"));
  file[EI_DATA] = ELFDATA2MSB;
  EXPECT_THAT(refusal(file), HasSubstr("big-endian"));
}

TEST(Elf, DamageNeverReadsOutsideTheFile) {
  const auto whole = read_file("/proc/self/exe");
  const std::string_view text = whole->text();
  for (std::size_t size = 1; size < std::min<std::size_t>(text.size(), 4096); size += 7)
    EXPECT_FALSE(refusal(text.substr(0, size)).empty()) << size;
  std::string file(text);
  unsigned random = 1;
  for (int i = 0; i < 2000; ++i) {
    random = random * 1664525 + 1013904223;
    const std::size_t at = (random >> 8) % 1024;  // the headers
    const char before = file[at];
    file[at] = static_cast<char>(random >> 3);
    refusal(file);  // throws Error or nothing; the sanitizers check the accesses
    file[at] = before;
  }
}

const ElfFunction* find(const ElfSymbols& symbols, std::string_view name) {
  const auto found = std::find_if(symbols.functions.begin(), symbols.functions.end(),
                                  [&](const ElfFunction& function) { return function.name == name; });
  return found == symbols.functions.end() ? nullptr : &*found;
}

TEST(ElfSymbols, ReadsTheFunctionsOfAProgramByAddress) {
  const auto file = read_file(own_executable());
  const ElfSymbols symbols = read_elf_symbols(file->bytes());
  EXPECT_NE(find(symbols, "main"), nullptr);
  EXPECT_TRUE(std::is_sorted(symbols.functions.begin(), symbols.functions.end(),
                             [](const ElfFunction& a, const ElfFunction& b) { return a.address < b.address; }));
}

TEST(ElfSymbols, ReadsTheExportsOfALibrary) {
  Dl_info info{};
  ASSERT_NE(::dladdr(reinterpret_cast<const void*>(&::getenv), &info), 0);
  const auto file = read_file(info.dli_fname);
  const ElfSymbols symbols = read_elf_symbols(file->bytes());
  EXPECT_NE(find(symbols, "getenv"), nullptr);
}

TEST(ElfSymbols, NothingIsReadOutsideOfADamagedFile) {
  EXPECT_TRUE(read_elf_symbols({}).functions.empty());
  EXPECT_TRUE(read_elf_symbols(as_bytes("#!/bin/sh\nexit 0 # and some more text, as long as a header of such a file\n"))
                  .functions.empty());
  // A file of one symbol, small enough to damage every byte of it.
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_shoff = sizeof header;
  header.e_shnum = 2;
  header.e_shstrndx = 1;
  std::array<Elf64_Shdr, 2> sections{};
  const std::uint64_t end = sizeof header + sizeof sections;
  sections[0].sh_type = SHT_SYMTAB;
  sections[0].sh_offset = end;
  sections[0].sh_size = sizeof(Elf64_Sym);
  sections[0].sh_link = 1;
  sections[1].sh_type = SHT_STRTAB;
  sections[1].sh_offset = end + sizeof(Elf64_Sym);
  sections[1].sh_size = 5;
  Elf64_Sym symbol{};
  symbol.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
  symbol.st_value = 0x1000;
  const auto bytes_of = [](const auto& value) { return std::string(as_text(std::as_bytes(std::span(&value, 1)))); };
  const std::string whole = bytes_of(header) + bytes_of(sections) + bytes_of(symbol) + std::string("name\0", 5);
  const ElfSymbols symbols = read_elf_symbols(as_bytes(whole));
  ASSERT_EQ(symbols.functions.size(), 1u);
  EXPECT_EQ(symbols.functions[0].address, 0x1000u);
  EXPECT_STREQ(symbols.functions[0].name, "name");
  EXPECT_FALSE(symbols.has_lines);
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_TRUE(read_elf_symbols(as_bytes(std::string(whole, 0, size))).functions.empty()) << size;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const char byte : {'\x00', '\x01', '\x7F', '\xFF'}) {
      std::string damaged = whole;
      damaged[at] = byte;
      for (const ElfFunction& function : read_elf_symbols(as_bytes(damaged)).functions)
        EXPECT_LE(std::strlen(function.name), 4u) << at;
    }
  }
}

TEST(Elf, NamesMachines) {
  EXPECT_EQ(machine_name(EM_AARCH64), "aarch64");
  EXPECT_EQ(machine_name(4711), "machine 4711");
  EXPECT_EQ(image_architecture(EM_X86_64), "amd64");
  EXPECT_EQ(uname_machine(4711), "");
}

}  // namespace
}  // namespace metaflow::base
