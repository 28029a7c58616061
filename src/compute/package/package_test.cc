#include "compute/package/package.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/hash.h"
#include "base/process.h"
#include "base/text.h"
#include "compute/package/archive.h"
#include "compute/package/bootstrap.h"
#include "value/gzip.h"

namespace metaflow::compute {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::Not;

std::string unpacked(std::string archive) {
  return std::string(value::gunzip(base::SharedBytes(std::move(archive)), 1 << 20).text());
}

std::string small_archive() {
  Archive archive;
  archive.add("bin/flow", base::as_bytes("program"), true);
  archive.add("a", "text");
  return archive.finish();
}

TEST(Archive, IsTheSameForTheSameFiles) {
  EXPECT_EQ(small_archive(), small_archive());
  EXPECT_EQ(small_archive().substr(4, 4), std::string(4, '\0'));  // the time of gzip
}

TEST(Archive, HasWholeBlocks) {
  const std::string tar = unpacked(small_archive());
  EXPECT_EQ(tar.size(), 512U * 6);
  EXPECT_EQ(tar.substr(0, 9), std::string("bin/flow\0", 9));
  EXPECT_EQ(tar.substr(100, 7), "0000555");
  EXPECT_EQ(tar.substr(512, 7), "program");
  EXPECT_EQ(tar.substr(1024 + 100, 7), "0000444");
}

TEST(Archive, SplitsLongNames) {
  const std::string directory(120, 'd');
  Archive archive;
  archive.add(directory + "/file", "x");
  const std::string tar = unpacked(archive.finish());
  EXPECT_EQ(tar.substr(0, 5), std::string("file\0", 5));
  EXPECT_EQ(tar.substr(345, 120), directory);
  EXPECT_THROW(archive.add(std::string(300, 'x'), "x"), Error);
}

TEST(Package, HasTheProgramAndItsLibraries) {
  const PackagePlan plan = plan_package(base::own_executable(), {}, library_places());
  EXPECT_FALSE(plan.is_static);
  for (const char* name : {"bin/flow", "lib/ld.so", "lib/libc.so.6"})
    EXPECT_THAT(plan.files, Contains(Field(&PackageFile::name, name)));
  EXPECT_GT(plan.size(), 1'000'000U);
}

TEST(Package, IsAddressedByItsContent) {
  const std::string path = std::filesystem::temp_directory_path() / "package_test_file";
  base::replace_file(path, "one");
  PackagePlan plan;
  plan.files = {{"bin/flow", path, 3, true}};
  const Package first = make_package(plan);
  EXPECT_EQ(first.sha256, make_package(plan).sha256);
  EXPECT_EQ(first.sha256, base::sha256_hex(first.bytes.text()));
  base::replace_file(path, "two");
  EXPECT_NE(first.sha256, make_package(plan).sha256);
  std::filesystem::remove(path);
  EXPECT_THROW(make_package(plan), Error);
}

TEST(Package, StartsThroughItsLoader) {
  EXPECT_THAT(start_command("/mf", false), ElementsAre("/mf/lib/ld.so", "--library-path", "/mf/lib", "/mf/bin/flow"));
  EXPECT_THAT(start_command("/mf", true), ElementsAre("/mf/bin/flow"));
}

TEST(Package, UserChoosesCertificateAuthorities) {
  const char* const before = std::getenv("SSL_CERT_FILE");
  ::setenv("SSL_CERT_FILE", "/proc/self/status", 1);
  EXPECT_EQ(find_certificate_authorities(), "/proc/self/status");
  ::setenv("SSL_CERT_FILE", "/no/roots", 1);
  EXPECT_THROW(find_certificate_authorities(), Error);
  before != nullptr ? ::setenv("SSL_CERT_FILE", before, 1) : ::unsetenv("SSL_CERT_FILE");
}

TEST(Package, CodePackageField) {
  EXPECT_EQ(code_package_field("s3", "abc", "s3://b/F/data/ab/abc"),
            R"({"ds_type":"s3","location":"s3://b/F/data/ab/abc",)"
            R"("metadata":"{\"archive_format\":\"tgz\",\"mfcontent_version\":1,\"version\":0}","sha":"abc"})");
}

TEST(Bootstrap, IsShortAndHasNoLink) {
  EXPECT_LT(bootstrap_script().size(), 6000U);  // some platforms limit a command to about 8 KB
  EXPECT_LT(install_script().size(), 6000U);
  for (const std::string& script : {bootstrap_script(), install_script()}) EXPECT_THAT(script, Not(HasSubstr("://b")));
  EXPECT_THAT(bootstrap_command({"supervise", "--", "step", "start"}),
              ElementsAre("sh", "-c", bootstrap_script(), "metaflow", "supervise", "--", "step", "start"));
}

}  // namespace
}  // namespace metaflow::compute
