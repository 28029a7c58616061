// Answers of an S3 server that do not match the request.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "store/s3/testing.h"

namespace metaflow::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string content_range(std::size_t begin, std::size_t size, std::size_t total) {
  return "bytes " + std::to_string(begin) + "-" + std::to_string(begin + size - 1) + "/" + std::to_string(total);
}

TEST_F(S3Test, ObjectThatChangesDuringTheRead) {
  const std::string old(S3Transfers::kPart + 1000, 'o');
  const std::string fresh(S3Transfers::kPart + 2000, 'n');
  int count = 0;
  answer_ = [&](const Received& request) -> Reply {
    const std::string& content = ++count == 1 ? old : fresh;
    const auto range = base::split(request.headers.at("range").substr(6), '-');
    const std::size_t begin = std::stoull(range[0]);
    const std::string part = content.substr(begin, std::stoull(range[1]) - begin + 1);
    return {.status = 206,
            .headers = {{"ETag", content == old ? "old" : "new"},
                        {"Content-Range", content_range(begin, part.size(), content.size())}},
            .body = part};
  };
  EXPECT_TRUE(get(storage(), "x")->text() == fresh);
}

TEST_F(S3Test, PartMustHaveTheRequestedBytes) {
  const std::string whole(S3Transfers::kPart + 1000, 'x');
  const Reply right_first{.status = 206,
                          .headers = {{"Content-Range", content_range(0, S3Transfers::kPart, whole.size())}},
                          .body = whole.substr(1000)};
  const Reply right_second{.status = 206,
                           .headers = {{"Content-Range", content_range(S3Transfers::kPart, 1000, whole.size())}},
                           .body = whole.substr(0, 1000)};
  Reply too_short = right_second;
  too_short.body.resize(100);
  Reply others = right_second;
  others.headers = {{"Content-Range", content_range(0, 1000, whole.size())}};
  Reply nowhere = right_second;
  nowhere.headers.clear();
  Reply other_total = right_second;
  other_total.headers = {{"Content-Range", content_range(S3Transfers::kPart, 100, S3Transfers::kPart + 100)}};
  other_total.body.resize(100);
  for (const Reply& wrong : {too_short, others, nowhere, other_total}) {
    int wrong_ones = 1;
    answer_ = [&](const Received& request) {
      if (request.headers.at("range").starts_with("bytes=0-")) return right_first;
      return wrong_ones-- > 0 ? wrong : right_second;
    };
    EXPECT_TRUE(get(storage(), "x")->text() == whole) << "the part is requested again";
    wrong_ones = 1'000;
    EXPECT_THAT(failure([&] { get(storage(), "x"); }), HasSubstr("Cannot read 's3://bucket/root/x'"));
  }
  answer_ = [&](const Received&) { return too_short; };
  EXPECT_THAT(failure([&] { get(storage(), "x"); }), HasSubstr("instead of 0 to 8388607"));
  EXPECT_THAT(failure([&] { storage().get_range("x", S3Transfers::kPart, 1000); }), HasSubstr("received 100 bytes"));
}

TEST_F(S3Test, EndlessListingIsAnError) {
  auto page = [](const std::string& more) {
    return Reply{.body = "<ListBucketResult><Contents><Key>root/F/a</Key></Contents>" + more + "</ListBucketResult>"};
  };
  answer_ = [&](const Received&) {
    return page("<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>");
  };
  EXPECT_THAT(failure([&] { storage().list("F"); }), HasSubstr("pages do not end"));
  EXPECT_EQ(requests().size(), 2U);
  answer_ = [&](const Received&) { return page("<IsTruncated>true</IsTruncated>"); };
  EXPECT_THAT(failure([&] { storage().list("F"); }), HasSubstr("no continuation token"));
}

TEST_F(S3Test, ListingIgnoresKeysOutsideOfItsPrefix) {
  answer_ = [&](const Received&) -> Reply {
    return {.body =
                "<?xml version=\"1.0\"?><ListBucketResult><Contents><Key>root/F/a</Key><Size>1</Size></Contents>"
                "<Contents><Key>other/F/x</Key><Size>1</Size></Contents><Contents><Key>r</Key></Contents>"
                "<CommonPrefixes><Prefix>root/F/b/</Prefix></CommonPrefixes>"
                "<CommonPrefixes><Prefix>root/</Prefix></CommonPrefixes></ListBucketResult>"};
  };
  std::vector<std::string> names;
  for (const Entry& entry : storage().list("F")) names.push_back(entry.name);
  EXPECT_THAT(names, ElementsAre("a", "b"));
}

}  // namespace
}  // namespace metaflow::store
