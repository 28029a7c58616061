// Operations on objects in several buckets, with a server that answers as the test says.
#include "store/s3/s3_objects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/files.h"
#include "base/text.h"
#include "store/s3/testing.h"

namespace metaflow::store {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

class S3ObjectsTest : public S3Test {
 protected:
  S3ObjectsTest() : directory_(testing::TempDir() + "objects_XXXXXX") {
    EXPECT_NE(::mkdtemp(directory_.data()), nullptr);
    S3Options options{.endpoint = server_.url()};
    options.retry = {.tries = 2, .first_delay = 1'000, .max_delay = 2'000, .max_retry_after = 1'000'000};
    objects_.emplace(std::move(options), net::AwsConfig([variables = variables_](const std::string& name) {
                       const auto found = variables.find(name);
                       return found == variables.end() ? std::nullopt : std::optional(found->second);
                     }));
  }
  ~S3ObjectsTest() override { std::filesystem::remove_all(directory_); }

  const std::vector<S3Result>& execute(std::vector<S3Operation> operations) {
    objects_->start(std::move(operations));
    while (!objects_->finish_within(milliseconds(1'000))) {
    }
    return objects_->results();
  }
  S3Result execute(S3Operation operation) { return execute(std::vector{std::move(operation)}).front(); }
  std::string file(const std::string& name) const { return directory_ + "/" + name; }
  static std::string content(const std::string& path) { return std::string(base::read_file(path)->text()); }

  /// Answers with the requested range of a content.
  static Reply range_of(const Received& request, const std::string& whole) {
    const auto range = base::split(request.headers.at("range").substr(6), '-');
    const std::size_t begin = std::stoull(range[0]);
    if (begin >= whole.size()) return {.status = 416, .body = error_xml("InvalidRange")};
    const std::string part = whole.substr(begin, std::stoull(range[1]) - begin + 1);
    return {
        .status = 206,
        .headers = {{"ETag", "e"},
                    {"Content-Type", "text/csv"},
                    {"x-amz-meta-metaflow-user-attributes", R"({"a": "b"})"},
                    {"x-amz-server-side-encryption", "AES256"},
                    {"Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"},
                    {"Content-Range", "bytes " + std::to_string(begin) + "-" + std::to_string(begin + part.size() - 1) +
                                          "/" + std::to_string(whole.size())}},
        .body = part};
  }

  std::string directory_;
  std::optional<S3Objects> objects_;
};

TEST_F(S3ObjectsTest, ObjectGoesToItsFileWithWhatTheServerRecords) {
  answer_ = [](const Received& request) { return range_of(request, "0123456789"); };
  const auto& results = execute({{"b", "k", S3Get{.file = file("whole")}},
                                 {"b", "k", S3Get{.file = file("part"), .begin = 2, .size = 3}},
                                 {"b", "k", S3Get{.file = file("rest"), .begin = 8}},
                                 {"b", "k", S3Get{.file = file("behind"), .begin = 10}}});
  EXPECT_EQ(content(file("whole")), "0123456789");
  EXPECT_EQ(content(file("part")), "234");
  EXPECT_EQ(content(file("rest")), "89");
  EXPECT_EQ(results[0].info.content_type, "text/csv");
  EXPECT_EQ(results[0].info.user_attributes, R"({"a": "b"})");
  EXPECT_EQ(results[0].info.encryption, "AES256");
  EXPECT_EQ(results[0].info.modified, 784111777);
  EXPECT_EQ(results[1].info.size, 10U);
  EXPECT_EQ(results[1].begin, 2U);
  EXPECT_EQ(results[1].size, 3U);
  EXPECT_EQ(results[2].size, 2U);
  EXPECT_EQ(results[3].status, S3Status::invalid_range);
  EXPECT_THAT(results[3].error, HasSubstr("InvalidRange"));
}

TEST_F(S3ObjectsTest, LargeObjectsAndRangesComeInParts) {
  std::string whole(3 * S3Transfers::kPart, 'x');
  for (std::size_t i = 0; i < whole.size(); i += 1'000) whole[i] = static_cast<char>('a' + i % 26);
  answer_ = [&](const Received& request) { return range_of(request, whole); };
  execute({{"b", "k", S3Get{.file = file("whole")}},
           {"b", "k", S3Get{.file = file("part"), .begin = 1'000, .size = S3Transfers::kPart + 5}}});
  EXPECT_TRUE(content(file("whole")) == whole);
  EXPECT_TRUE(content(file("part")) == whole.substr(1'000, S3Transfers::kPart + 5));
}

TEST_F(S3ObjectsTest, LastBytes) {
  answer_ = [](const Received& request) -> Reply {
    if (request.method == "HEAD") return {.headers = {{"Content-Length", "10"}}};
    return range_of(request, "0123456789");
  };
  EXPECT_EQ(execute({"b", "k", S3Get{.file = file("end"), .last = 3}}).begin, 7U);
  EXPECT_EQ(content(file("end")), "789");
  execute({"b", "k", S3Get{.file = file("end"), .last = 30}});
  EXPECT_EQ(content(file("end")), "0123456789");
}

TEST_F(S3ObjectsTest, EmptyObjectHasItsInfo) {
  answer_ = [](const Received& request) -> Reply {
    if (request.method == "HEAD") return {.headers = {{"Content-Length", "0"}, {"Content-Type", "text/csv"}}};
    return {.status = 416, .body = error_xml("InvalidRange")};
  };
  const S3Result result = execute({"b", "k", S3Get{.file = file("empty")}});
  EXPECT_EQ(result.status, S3Status::ok);
  EXPECT_EQ(result.info.content_type, "text/csv");
  EXPECT_EQ(content(file("empty")), "");
}

TEST_F(S3ObjectsTest, EveryOperationHasItsOwnResult) {
  answer_ = [](const Received& request) -> Reply {
    if (request.target.ends_with("/missing")) return {.status = 404, .body = error_xml("NoSuchKey")};
    if (request.target.ends_with("/denied")) return {.status = 403, .body = error_xml("AccessDenied")};
    return range_of(request, "1");
  };
  std::vector<S3Operation> operations;
  for (int i = 0; i < 200; ++i)
    operations.push_back({i % 2 == 0 ? "one" : "two", std::to_string(i), S3Get{.file = file(std::to_string(i))}});
  operations[7].key = "missing";
  operations[8].key = "denied";
  const auto& results = execute(operations);
  ASSERT_EQ(results.size(), 200U);
  EXPECT_EQ(results[7].status, S3Status::missing);
  EXPECT_THAT(results[7].error, HasSubstr("s3://two/missing"));
  EXPECT_EQ(results[8].status, S3Status::denied);
  EXPECT_THAT(results[8].error, HasSubstr("AWS credentials"));
  EXPECT_EQ(results[199].size, 1U);
  EXPECT_EQ(content(file("199")), "1");
}

TEST_F(S3ObjectsTest, OtherFailuresEndAll) {
  answer_ = [](const Received&) -> Reply { return {.status = 400, .body = error_xml("Strange")}; };
  EXPECT_THAT(failure([&] { execute({"b", "k", S3Head{}}); }), HasSubstr("Cannot examine 's3://b/k'"));
  answer_ = [](const Received& request) { return range_of(request, "1"); };
  EXPECT_THAT(failure([&] { execute({"b", "k", S3Get{.file = directory_ + "/no/file"}}); }), HasSubstr("No such file"));
  EXPECT_EQ(execute({"b", "k", S3Get{.file = file("x")}}).status, S3Status::ok) << "it can be used again";
}

TEST_F(S3ObjectsTest, FullDiskIsAStatus) {
  answer_ = [](const Received& request) { return range_of(request, "1"); };
  EXPECT_EQ(execute({"b", "k", S3Get{.file = "/dev/full"}}).status, S3Status::disk_full);
}

TEST_F(S3ObjectsTest, WhatIsWrittenWithAnObject) {
  const std::string text = "content";
  base::create_file(file("source"), "from a file");
  execute({{"b", "k",
            S3Put{.content = base::as_bytes(text),
                  .content_type = "text/csv",
                  .encryption = "AES256",
                  .user_attributes = R"({"a": 1})"}},
           {"b", "f", S3Put{.file = file("source")}}});
  const auto received = server_.received();
  const auto of = [&](const std::string& target) {
    return *std::find_if(received.begin(), received.end(), [&](const auto& each) { return each.target == target; });
  };
  EXPECT_EQ(of("/b/k").body, text);
  EXPECT_EQ(of("/b/k").headers.at("content-type"), "text/csv");
  EXPECT_EQ(of("/b/k").headers.at("x-amz-server-side-encryption"), "AES256");
  EXPECT_EQ(of("/b/k").headers.at("x-amz-meta-metaflow-user-attributes"), R"({"a": 1})");
  EXPECT_EQ(of("/b/f").body, "from a file");
  EXPECT_FALSE(of("/b/f").headers.contains("content-type"));
  EXPECT_FALSE(of("/b/f").headers.contains("if-none-match"));
  // Without TLS, the signature covers the content.
  EXPECT_EQ(of("/b/f").headers.at("x-amz-content-sha256").size(), 64U);
}

TEST_F(S3ObjectsTest, ExistingObjectIsNotOverwritten) {
  const S3Put put{.content = base::as_bytes("x"), .overwrite = false};
  answer_ = [](const Received&) { return Reply{}; };
  EXPECT_EQ(execute({"b", "k", put}).status, S3Status::exists);
  EXPECT_THAT(requests(), ElementsAre("HEAD /b/k"));
  answer_ = [](const Received& request) -> Reply { return {.status = request.method == "HEAD" ? 404 : 200}; };
  EXPECT_EQ(execute({"b", "k", put}).status, S3Status::ok);
  EXPECT_EQ(server_.received().back().headers.at("if-none-match"), "*");
  answer_ = [](const Received& request) -> Reply { return {.status = request.method == "HEAD" ? 404 : 412}; };
  EXPECT_EQ(execute({"b", "k", put}).status, S3Status::exists) << "another process wrote it meanwhile";
  answer_ = [](const Received& request) -> Reply {
    if (request.method == "HEAD") return {.status = 404};
    return {.status = request.headers.contains("if-none-match") ? 501 : 200};
  };
  EXPECT_EQ(execute({"b", "k", put}).status, S3Status::ok) << "the server does not know the condition";
}

TEST_F(S3ObjectsTest, LargeFileIsSentInPartsAndAbortedIfRefused) {
  const std::string whole(S3Transfers::kWholeUpTo + 100, 'x');
  base::create_file(file("large"), whole);
  int completed = 200;
  std::size_t bytes = 0;
  answer_ = [&](const Received& request) -> Reply {
    if (request.method == "HEAD") return {.status = 404};
    if (request.target.ends_with("?uploads=")) return {.body = "<R><UploadId>id</UploadId></R>"};
    if (request.method == "PUT") bytes += request.body.size();
    if (request.method == "POST") return {.status = completed};
    return {.headers = {{"ETag", "e"}}};
  };
  EXPECT_EQ(execute({"b", "k", S3Put{.file = file("large")}}).status, S3Status::ok);
  EXPECT_EQ(bytes, whole.size());
  EXPECT_NE(requests().back().substr(0, 6), "DELETE");
  completed = 412;
  EXPECT_EQ(execute({"b", "k", S3Put{.file = file("large"), .overwrite = false}}).status, S3Status::exists);
  EXPECT_EQ(requests().back(), "DELETE /b/k?uploadId=id");
}

TEST_F(S3ObjectsTest, ListsHaveObjectsAndPrefixes) {
  answer_ = [](const Received& request) -> Reply {
    if (request.target.find("continuation-token") != std::string::npos)
      return {.body =
                  "<R><CommonPrefixes><Prefix>p/b/</Prefix></CommonPrefixes><Contents><Key>p/c</Key></Contents></R>"};
    return {.body =
                "<R><Contents><Key>p/</Key><Size>0</Size></Contents><Contents><Key>p/a</Key><Size>3</Size></Contents>"
                "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></R>"};
  };
  const S3Result result = execute({"b", "p/", S3List{.all = false}});
  ASSERT_EQ(result.listed.size(), 4U);
  EXPECT_EQ(result.listed[0].key, "p/");
  EXPECT_EQ(result.listed[1].size, 3U);
  EXPECT_EQ(result.listed[2].key, "p/c");
  EXPECT_TRUE(result.listed[3].is_prefix);
  EXPECT_THAT(requests()[0], HasSubstr("delimiter=%2F"));
  answer_ = [](const Received&) -> Reply { return {.status = 404, .body = error_xml("NoSuchBucket")}; };
  EXPECT_EQ(execute({"b", "p/", S3List{}}).status, S3Status::missing);
}

TEST_F(S3ObjectsTest, CancelledOperationsAreForgotten) {
  answer_ = [](const Received& request) { return range_of(request, "1"); };
  objects_->start({{"b", "k", S3Get{.file = file("x")}}});
  objects_->finish_within(milliseconds(0));
  objects_->cancel();
  EXPECT_TRUE(objects_->finish_within(milliseconds(0)));
  EXPECT_EQ(execute({"b", "k", S3Get{.file = file("x")}}).status, S3Status::ok);
}

}  // namespace
}  // namespace metaflow::store
