#include "compute/package/libraries.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/process.h"
#include "base/text.h"

namespace metaflow::compute {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;

// Another architecture than that of this program.
#ifdef __aarch64__
constexpr std::uint16_t kOther = EM_X86_64;
const std::string kOtherName = "x86-64";
#else
constexpr std::uint16_t kOther = EM_AARCH64;
const std::string kOtherName = "aarch64";
#endif

class Libraries : public testing::Test {
 protected:
  Libraries() {
    std::string name = (std::filesystem::temp_directory_path() / "libraries-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
  }
  ~Libraries() override { std::filesystem::remove_all(directory_); }

  /// Copies this program, with a change in its header.
  std::string changed_program(const std::string& name, std::size_t at, std::uint16_t value) {
    std::string file(base::read_file(base::own_executable())->text());
    std::memcpy(file.data() + at, &value, sizeof value);
    const std::string path = directory_ + "/" + name;
    base::replace_file(path, file);
    return path;
  }

  std::string refusal(const std::string& program, const std::vector<std::string>& opened, const LibraryPlaces& places) {
    try {
      find_closure(program, opened, places);
    } catch (const Error& error) {
      return error.message();
    }
    return {};
  }

  std::string directory_;
};

TEST_F(Libraries, OfThisProgram) {
  const Closure closure = find_closure(base::own_executable(), {}, library_places());
  EXPECT_TRUE(base::exists(closure.loader));
  EXPECT_THAT(closure.libraries, Contains(Field(&Library::name, "libc.so.6")));
  for (const Library& library : closure.libraries) {
    EXPECT_TRUE(base::exists(library.path)) << library.path;
    EXPECT_THAT(library.name, Not(HasSubstr("ld-linux")));
  }
}

TEST_F(Libraries, OpenedLibrariesHaveLibrariesOfTheirOwn) {
  const Closure closure = find_closure(base::own_executable(), {"libstdc++.so.6", "libGL.so.1"}, library_places());
  EXPECT_THAT(closure.libraries, Contains(Field(&Library::name, "libstdc++.so.6")));
  EXPECT_THAT(closure.libraries, Contains(Field(&Library::name, "libm.so.6")));
  EXPECT_THAT(closure.of_host, ElementsAre("libGL.so.1"));
}

TEST_F(Libraries, GivenByPath) {
  const auto places = library_places();
  const std::string libz = places.by_name.at("libstdc++.so.6").at(0);
  const Closure closure = find_closure(base::own_executable(), {libz}, places);
  EXPECT_THAT(closure.libraries, Contains(Field(&Library::path, libz)));
}

TEST_F(Libraries, AllThatIsMissingIsNamed) {
  const std::string why = refusal(base::own_executable(), {"libnowhere.so.1", "/no/plugin.so"}, library_places());
  EXPECT_THAT(why, HasSubstr("libnowhere.so.1 (opened by the program)"));
  EXPECT_THAT(why, HasSubstr("/no/plugin.so"));
}

TEST_F(Libraries, LibrariesOfAnotherArchitectureAreSkipped) {
  changed_program("libother.so.1", offsetof(Elf64_Ehdr, e_machine), kOther);
  LibraryPlaces places = library_places();
  places.first = {directory_};
  EXPECT_THAT(refusal(base::own_executable(), {"libother.so.1"}, places),
              HasSubstr("is for " + kOtherName + ", the program for"));
  EXPECT_THAT(refusal(base::own_executable(), {directory_ + "/libother.so.1"}, places),
              HasSubstr("is for " + kOtherName));
  // The loader, too, continues with the next directory.
  changed_program("libstdc++.so.6", offsetof(Elf64_Ehdr, e_machine), kOther);
  EXPECT_THAT(find_closure(base::own_executable(), {"libstdc++.so.6"}, places).libraries,
              Contains(Field(&Library::name, "libstdc++.so.6")));
}

TEST_F(Libraries, ProgramOfAnotherArchitectureLacksItsLibraries) {
  const std::string program = changed_program("other", offsetof(Elf64_Ehdr, e_machine), kOther);
  EXPECT_THAT(refusal(program, {}, library_places()), HasSubstr("the program for " + kOtherName));
}

TEST_F(Libraries, LibraryIsNotAProgram) {
  const std::string library = library_places().by_name.at("libstdc++.so.6").at(0);
  EXPECT_THAT(refusal(library, {}, library_places()), HasSubstr("is a shared library, not a program"));
}

TEST_F(Libraries, DriverLibraries) {
  for (const char* name : {"libcuda.so.1", "libnvidia-ml.so.1", "libGL.so.1", "libEGL_nvidia.so.0"})
    EXPECT_TRUE(is_driver_library(name)) << name;
  for (const char* name : {"libcudart.so.12", "libcublas.so.12", "libGLU.so.1", "libc.so.6"})
    EXPECT_FALSE(is_driver_library(name)) << name;
}

/// A cache as ldconfig writes it, of one library for all processors and one for some.
std::string cache(bool with_old) {
  std::string text;
  if (with_old) {
    text = "ld.so-1.7.0";
    text.resize(12);
    const std::uint32_t count = 1;
    text.append(reinterpret_cast<const char*>(&count), 4);
    text.resize(16 + 12 + 4);  // one entry, and up to a multiple of 8
  }
  std::string names = std::string("liba.so.1\0/lib/liba.so.1\0/lib/fast/liba.so.1\0", 45);
  std::string fresh = "glibc-ld.so.cache1.1";
  const std::uint32_t counts[7] = {2, static_cast<std::uint32_t>(names.size())};
  fresh.append(reinterpret_cast<const char*>(counts), sizeof counts);
  struct {
    std::int32_t flags = 1;
    std::uint32_t name, path, os = 0;
    std::uint64_t hardware;
  } entries[2] = {{1, 96, 96 + 10, 0, 0}, {1, 96, 96 + 25, 0, 2}};
  fresh.append(reinterpret_cast<const char*>(entries), sizeof entries);
  return text + fresh + names;
}

TEST(LoaderCache, ReturnsLibrariesForEveryProcessor) {
  for (const bool with_old : {false, true})
    EXPECT_THAT(read_loader_cache(base::as_bytes(cache(with_old))),
                ElementsAre(Pair("liba.so.1", ElementsAre("/lib/liba.so.1"))));
}

TEST(LoaderCache, DamageIsSkipped) {
  EXPECT_THAT(read_loader_cache({}), IsEmpty());
  EXPECT_THAT(read_loader_cache(base::as_bytes("something else")), IsEmpty());
  const std::string whole = cache(true);
  for (std::size_t size = 0; size < whole.size(); ++size)
    read_loader_cache(base::as_bytes(std::string_view(whole).substr(0, size)));
}

}  // namespace
}  // namespace metaflow::compute
