#include "base/stacktrace.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace metaflow::base {
namespace {

TEST(Stacktrace, NamesTypesAsInTheSource) {
  EXPECT_EQ(demangle(typeid(std::string).name()), "std::string");
  EXPECT_EQ(demangle(typeid(std::vector<std::vector<std::string>>).name()), "std::vector<std::vector<std::string>>");
  EXPECT_EQ(demangle(typeid(std::map<std::string, std::vector<int>>).name()),
            "std::map<std::string, std::vector<int>, std::less<std::string>>");
}

TEST(Stacktrace, NamesFunctionsAsInTheSource) {
  EXPECT_EQ(demangle("_ZN4Flow4passERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"),
            "Flow::pass(std::string const&)");
  EXPECT_EQ(demangle("_ZN4Flow4passEi.cold"), "Flow::pass(int)");
  EXPECT_EQ(demangle("main"), "main");
}

}  // namespace
}  // namespace metaflow::base
