#include "compute/package/elf.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/process.h"
#include "base/text.h"

namespace metaflow::compute {
namespace {

using testing::Contains;
using testing::HasSubstr;

std::string refusal(std::string_view file) {
  try {
    read_elf(base::as_bytes(file), "x");
  } catch (const Error& error) {
    return error.message();
  }
  return {};
}

TEST(Elf, SaysWhatThisProgramNeeds) {
  const std::string path = base::own_executable();
  const Elf elf = read_elf(base::read_file(path)->bytes(), path);
  EXPECT_THAT(elf.interpreter, HasSubstr("ld-"));
  EXPECT_THAT(elf.needed, Contains("libc.so.6"));
  EXPECT_FALSE(uname_machine(elf.machine).empty());
}

TEST(Elf, RefusesWhatIsNone) {
  EXPECT_THAT(refusal("#!/bin/sh\nexit 0 # and some more text\n"), HasSubstr("is a script"));
  EXPECT_THAT(refusal(""), HasSubstr("no ELF file"));
  EXPECT_THAT(refusal(std::string("\xcf\xfa\xed\xfe") + std::string(100, '\0')), HasSubstr("no ELF file"));  // of macOS
}

TEST(Elf, RefusesOtherKindsOfMachine) {
  std::string file(base::read_file(base::own_executable())->text().substr(0, 64));
  file[EI_CLASS] = ELFCLASS32;
  EXPECT_THAT(refusal(file), HasSubstr("32 bits"));
  file[EI_DATA] = ELFDATA2MSB;
  EXPECT_THAT(refusal(file), HasSubstr("big-endian"));
}

TEST(Elf, RefusesEveryDamage) {
  const auto whole = base::read_file("/proc/self/exe");
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
    refusal(file);  // throws Error or nothing; the sanitizers look
    file[at] = before;
  }
}

TEST(Elf, NamesMachines) {
  EXPECT_EQ(machine_name(EM_AARCH64), "aarch64");
  EXPECT_EQ(machine_name(4711), "machine 4711");
  EXPECT_EQ(image_architecture(EM_X86_64), "amd64");
  EXPECT_EQ(uname_machine(4711), "");
}

}  // namespace
}  // namespace metaflow::compute
