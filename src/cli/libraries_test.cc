#include "cli/libraries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace metaflow::cli {
namespace {

using testing::ElementsAre;
using testing::MatchesRegex;
using testing::Pair;

TEST(LibraryVersions, AllLibrariesHaveAVersion) {
  EXPECT_THAT(
      library_versions(),
      ElementsAre(Pair("nettle", MatchesRegex("[0-9]+\\.[0-9]+")), Pair("yaml-cpp", MatchesRegex("[0-9.]+|unknown")),
                  Pair("zlib", MatchesRegex("[0-9]+\\..*")), Pair("libcurl", MatchesRegex("libcurl.*/[0-9.]+ .*"))));
}

}  // namespace
}  // namespace metaflow::cli
