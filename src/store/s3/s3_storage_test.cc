// The S3 store when the server or the network fails. storage_test.cc tests it as a Storage.
#include "store/s3/s3_storage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include <metaflow/error.h>

#include "base/text.h"
#include "store/s3/testing.h"

namespace metaflow::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST_F(S3Test, TransientErrorIsRetried) {
  int count = 0;
  answer_ = [&](const Received&) -> Reply {
    switch (++count) {
      case 1: return {.status = 503, .headers = {{"Retry-After", "0"}}, .body = error_xml("SlowDown")};
      case 2: return {.reset = true};
      case 3: return {.status = 400, .body = error_xml("RequestTimeout")};
      default: return {.headers = {{"ETag", "\"e\""}}, .body = "content"};
    }
  };
  EXPECT_EQ(get(storage(), "x")->text(), "content");
  EXPECT_EQ(count, 4);
  count = 100;
  answer_ = [&](const Received&) -> Reply { return {.status = 500, .body = error_xml("InternalError")}; };
  const std::string error = failure([&] { get(storage(), "x"); });
  EXPECT_THAT(error, HasSubstr("Cannot read 's3://bucket/root/x': 500 InternalError: words"));
}

TEST_F(S3Test, ReusedLargeBlobGetsANewTime) {
  const std::string content(2U << 20U, 'x');  // larger than blobs that are always uploaded
  std::string modified = "Sun, 06 Nov 1994 08:30:00 GMT";
  answer_ = [&](const Received& request) -> Reply {
    if (request.method != "HEAD") return {.body = "<CopyObjectResult/>"};
    return {.headers = {{"Last-Modified", modified}, {"Date", "Sun, 06 Nov 1994 08:49:37 GMT"}}, .body = content};
  };
  auto save = [&] {
    const auto piece = base::as_bytes(content);
    storage().save_blob("F/data", Pieces(&piece, 1), -1);
  };
  save();
  EXPECT_EQ(requests().size(), 1U) << "a young blob is only examined";
  modified = "Sat, 05 Nov 1994 08:30:00 GMT";
  save();
  const Received last = server_.received().back();
  EXPECT_EQ(last.method, "PUT");
  EXPECT_THAT(last.headers.at("x-amz-copy-source"), HasSubstr("/bucket/root/F/data/"));
  EXPECT_EQ(last.headers.at("x-amz-metadata-directive"), "REPLACE");
  EXPECT_EQ(last.body, "");
}

TEST_F(S3Test, PermanentErrorIsNotRetried) {
  answer_ = [&](const Received&) -> Reply { return {.status = 403, .body = error_xml("AccessDenied")}; };
  const std::string error = failure([&] { put(storage(), "x", "1"); });
  EXPECT_EQ(requests().size(), 1U);
  EXPECT_THAT(error, HasSubstr("AccessDenied"));
  EXPECT_THAT(error, HasSubstr("come from the environment"));
  EXPECT_THAT(error, Not(HasSubstr("topsecret")));
  answer_ = [&](const Received&) -> Reply { return {.status = 404, .body = error_xml("NoSuchBucket")}; };
  EXPECT_THAT(failure([&] { get(storage(), "x"); }), HasSubstr("METAFLOW_DATASTORE_SYSROOT_S3"));
}

TEST_F(S3Test, RegionOfTheBucketIsLearned) {
  answer_ = [&](const Received& request) -> Reply {
    const bool right = request.headers.at("authorization").find("/eu-x-1/s3/") != std::string::npos;
    if (right) return {.body = "here"};
    return {.status = 400, .body = error_xml("AuthorizationHeaderMalformed", "<Region>eu-x-1</Region>")};
  };
  EXPECT_EQ(get(storage(), "x")->text(), "here");
  EXPECT_EQ(get(storage(), "x")->text(), "here");
  EXPECT_EQ(requests().size(), 3U) << "the region is remembered";
}

TEST_F(S3Test, InvalidRegionIsRejected) {
  answer_ = [&](const Received&) -> Reply {
    return {.status = 301, .headers = {{"x-amz-bucket-region", "evil.example/"}}};
  };
  EXPECT_THAT(failure([&] { get(storage(), "x"); }), HasSubstr("301"));
  EXPECT_EQ(requests().size(), 1U);
}

TEST_F(S3Test, WrongClockIsCorrected) {
  answer_ = [&](const Received& request) -> Reply {
    if (request.headers.at("x-amz-date").starts_with("20010203T0405")) return {.body = "good"};
    return {.status = 403,
            .headers = {{"Date", "Sat, 03 Feb 2001 04:05:06 GMT"}}};  // the answer to a HEAD has no error code
  };
  EXPECT_TRUE(exists(storage(), "x"));
  EXPECT_EQ(requests().size(), 2U);
}

TEST_F(S3Test, ExpiredKeysAreRenewed) {
  int asked = 0;
  TestServer container([&](const Received&) {
    return Reply{.body = R"({"AccessKeyId": "K)" + std::to_string(++asked) +
                         R"(", "SecretAccessKey": "s", "Token": "t", "Expiration": "2999-01-01T00:00:00Z"})"};
  });
  variables_ = {{"HOME", "/nonexistent"}, {"AWS_CONTAINER_CREDENTIALS_FULL_URI", container.url("/")}};
  answer_ = [&](const Received& request) -> Reply {
    if (request.headers.at("authorization").find("Credential=K1/") != std::string::npos)
      return {.status = 400, .body = error_xml("ExpiredToken")};
    return {.body = "good"};
  };
  EXPECT_EQ(get(storage(), "x")->text(), "good");
  EXPECT_EQ(asked, 2);
}

TEST_F(S3Test, CreateRecognisesItsOwnObject) {
  // The answer to the first attempt is lost, the second finds that the object exists: it is ours if it has our content.
  std::map<std::string, std::string> stored;
  bool lost = false;
  answer_ = [&](const Received& request) -> Reply {
    if (request.method == "GET") return {.body = stored.at(request.target)};
    EXPECT_EQ(request.headers.at("if-none-match"), "*");
    if (!stored.emplace(request.target, request.body).second)
      return {.status = 412, .body = error_xml("PreconditionFailed")};
    if (lost) return {.reset = true};
    return {};
  };
  EXPECT_TRUE(create(storage(), "lease", "me"));
  EXPECT_FALSE(create(storage(), "lease", "me")) << "the object existed before";
  lost = true;
  EXPECT_TRUE(create(storage(), "other", "me"));
}

TEST_F(S3Test, ServerThatRejectsOrIgnoresConditions) {
  for (const bool refuses : {true, false}) {
    std::map<std::string, std::string> stored;
    answer_ = [&](const Received& request) -> Reply {
      if (request.target.find("list-type") != std::string::npos) {
        std::string list = "<ListBucketResult>";
        for (const auto& [target, body] : stored)
          list += "<Contents><Key>" + target.substr(std::string("/bucket/").size()) + "</Key><Size>1</Size></Contents>";
        return {.body = list + "</ListBucketResult>"};
      }
      const auto found = stored.find(request.target);
      if (request.method != "PUT" && found == stored.end()) return {.status = 404};
      if (request.method != "PUT") return {.body = found->second};
      if (request.headers.contains("if-none-match") && refuses)
        return {.status = 501, .body = error_xml("NotImplemented")};
      stored[request.target] = request.body;
      return {};
    };
    const std::string name = refuses ? "run/lease.0" : "run/lease.1";
    storage_.reset();
    EXPECT_TRUE(create(storage(), name, "me"));
    EXPECT_FALSE(create(storage(), name, "you"));
    EXPECT_EQ(get(storage(), name)->text(), "me");
    std::size_t claims = 0;
    for (const auto& [target, body] : stored) claims += target.find(".claim-") != std::string::npos ? 1U : 0U;
    EXPECT_EQ(claims, 1U) << "no claim is made for an existing object";
  }
}

TEST_F(S3Test, FailedUploadIsAborted) {
  answer_ = [&](const Received& request) -> Reply {
    if (request.target.ends_with("?uploads="))
      return {.body = "<InitiateMultipartUploadResult><UploadId>id+/=</UploadId></InitiateMultipartUploadResult>"};
    if (request.method == "PUT") return {.status = 400, .body = error_xml("EntityTooSmall")};
    return {.status = 204};
  };
  const std::string large(S3Transfers::kWholeUpTo + 1, 'x');
  EXPECT_THAT(failure([&] { put(storage(), "x", large); }), HasSubstr("EntityTooSmall"));
  EXPECT_EQ(requests().back(), "DELETE /bucket/root/x?uploadId=id%2B%2F%3D");
}

TEST_F(S3Test, ErrorWithStatus200) {
  int completed = 0;
  answer_ = [&](const Received& request) -> Reply {
    if (request.target.ends_with("?uploads=")) return {.body = "<R><UploadId>u</UploadId></R>"};
    if (request.method == "PUT") return {.headers = {{"ETag", "\"1\""}}};
    if (request.method == "POST") {
      ++completed;
      EXPECT_THAT(request.body, HasSubstr("<PartNumber>2</PartNumber><ETag>\"1\"</ETag>"));
      return {.body = completed < 3 ? error_xml("InternalError") : "<R/>"};
    }
    return {};
  };
  const std::string large(S3Transfers::kWholeUpTo + 1, 'x');
  put(storage(), "x", large);
  EXPECT_EQ(completed, 3);
  answer_ = [&](const Received&) -> Reply { return {.body = error_xml("InternalError")}; };
  EXPECT_THAT(failure([&] { copy(storage(), "a", "b"); }), HasSubstr("InternalError"));
}

TEST_F(S3Test, BlobsAreWrittenBeforeObjectsThatReferToThem) {
  answer_ = [&](const Received&) -> Reply { return {.pause = std::chrono::milliseconds(5)}; };
  for (const char* value : {"1", "2", "3"}) {
    const auto piece = base::as_bytes(value);
    storage().save_blob("F/data", std::span(&piece, 1), -1);
  }
  put(storage(), "F/data.json", "{}");
  const auto lines = requests();
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(lines.back(), "PUT /bucket/root/F/data.json");
  EXPECT_EQ(server_.received()[0].headers.at("x-amz-meta-metaflow-user-attributes"),
            R"({"cas_raw": true, "cas_version": 1})");
  EXPECT_FALSE(server_.received()[3].headers.contains("x-amz-meta-metaflow-user-attributes"));
}

/// An event loop, and background writes that it drives.
class S3BackgroundTest : public S3Test {
 protected:
  void put_beside(const std::string& path) {
    if (!background_) background_ = storage().in_background(loop_);
    background_->put({{path, base::SharedBytes("content")}}, [this] { ++put_; });
  }

  base::SystemClock clock_;
  base::EventLoop loop_{clock_};
  std::unique_ptr<BackgroundStorage> background_;
  int put_ = 0;
};

TEST_F(S3BackgroundTest, TransientErrorIsRetried) {
  int count = 0;
  answer_ = [&](const Received&) -> Reply {
    switch (++count) {
      case 1: return {.status = 503, .headers = {{"Retry-After", "0"}}, .body = error_xml("SlowDown")};
      case 2: return {.reset = true};
      default: return {};
    }
  };
  put_beside("x");
  EXPECT_TRUE(requests().empty()) << "the loop sends the request";
  while (put_ == 0) loop_.run_once();
  EXPECT_EQ(count, 3);
}

TEST_F(S3BackgroundTest, ErrorIsThrownByTheLoop) {
  answer_ = [&](const Received&) -> Reply { return {.status = 403, .body = error_xml("AccessDenied")}; };
  put_beside("x");
  const std::string error = failure([&] {
    while (put_ == 0) loop_.run_once();
  });
  EXPECT_THAT(error, HasSubstr("Cannot write 's3://bucket/root/x': 403 AccessDenied"));
  EXPECT_EQ(put_, 0);
}

TEST_F(S3BackgroundTest, TransfersBeyondTheLimitWait) {
  for (int i = 0; i < 100; ++i) put_beside("x" + std::to_string(i));
  while (put_ < 100) loop_.run_once();
  EXPECT_EQ(requests().size(), 100U);
  EXPECT_LE(server_.connections(), 32);
}

TEST_F(S3BackgroundTest, BlockingCallRunsNoBackgroundCallback) {
  put_beside("x");
  loop_.poll();  // sends the request
  put(storage(), "y", "content");
  EXPECT_EQ(put_, 0);
  while (put_ == 0) loop_.run_once();
}

TEST_F(S3BackgroundTest, DestructorCancelsPendingRequests) {
  put_beside("x");
  loop_.poll();
  put_beside("y");
  background_.reset();
  loop_.poll();
  EXPECT_EQ(put_, 0);
}

TEST_F(S3Test, Urls) {
  EXPECT_EQ(parse_s3_url("s3://b/p/q/").prefix, "p/q");
  EXPECT_EQ(parse_s3_url("s3://b").prefix, "");
  EXPECT_EQ(parse_s3_url("s3://b//p").prefix, "p");
  for (const char* url : {"", "b/p", "s3://", "s3:///p", "http://b/p", "s3://b@evil/p", "/tmp/x", "s3://a b/p",
                          "s3://a\nb/p", "s3://a%2Fb/p", "s3://a\\b/p", "s3://.b/p", "s3://-b/p", "s3://b/../p",
                          "s3://b/p/.", "s3://b/p/../q", "s3://b/p\nq"})
    EXPECT_THROW(parse_s3_url(url), Error) << url;
  EXPECT_EQ(storage().root(), "s3://bucket/root");
}

TEST_F(S3Test, KeysAreNotSentWithoutTls) {
  const net::AwsConfig config([](const std::string& name) -> std::optional<std::string> {
    return name == "AWS_ENDPOINT_URL" ? std::optional<std::string>("http://minio:9000") : std::nullopt;
  });
  auto refusal = [&]() -> std::string {
    try {
      s3_options(base::Settings(), config);
    } catch (const Error& error) {
      return error.what();
    }
    return "none";
  };
  EXPECT_THAT(refusal(), HasSubstr("The S3 endpoint is http://minio:9000, which is not https"));
  ::setenv("METAFLOW_ALLOW_PLAIN_HTTP", "1", 1);
  EXPECT_EQ(refusal(), "none");
  ::unsetenv("METAFLOW_ALLOW_PLAIN_HTTP");
  ::setenv("METAFLOW_S3_ENDPOINT_URL", "http://10.0.0.1", 1);
  EXPECT_THAT(refusal(), HasSubstr("The S3 endpoint is http://10.0.0.1, which is not https"));
  ::setenv("METAFLOW_S3_ENDPOINT_URL", "http://127.0.0.1", 1);
  EXPECT_EQ(refusal(), "none");
  ::unsetenv("METAFLOW_S3_ENDPOINT_URL");
}

TEST_F(S3Test, RetriesAndTransfersAreSettings) {
  const net::AwsConfig config([](const std::string&) { return std::nullopt; });
  ::setenv("METAFLOW_S3_RETRY_COUNT", "2", 1);
  ::setenv("METAFLOW_S3_WORKER_COUNT", "3", 1);
  const S3Options options = s3_options(base::Settings(), config);
  EXPECT_EQ(options.retry.tries, 3);
  EXPECT_EQ(options.transfers, 3);
  ::unsetenv("METAFLOW_S3_RETRY_COUNT");
  ::unsetenv("METAFLOW_S3_WORKER_COUNT");
}

TEST_F(S3Test, HostsOfAmazon) {
  net::AwsConfig config([variables = variables_](const std::string& name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
  base::SystemClock clock;
  S3Client client({.region = "eu-x-1"}, clock, config);
  EXPECT_THAT(client.presign("GET", "bucket", "a b", 60),
              testing::StartsWith("https://bucket.s3.eu-x-1.amazonaws.com/a%20b?X-Amz-Algorithm="));
  EXPECT_THAT(client.presign("GET", "dotted.bucket", "k", 60),
              testing::StartsWith("https://s3.eu-x-1.amazonaws.com/dotted.bucket/k?"));
}

TEST_F(S3Test, InvalidPathsAreRejected) {
  for (const std::string path : {"../x", "/x", "a//b", "a/./b", "a\nb"}) {
    const std::vector<std::string> paths{"good", path};
    EXPECT_THAT(failure([&] { storage().get(paths); }), HasSubstr("is not the path of an object"));
    EXPECT_THAT(failure([&] { storage().sizes(paths); }), HasSubstr("is not the path of an object"));
    EXPECT_THAT(failure([&] { put(storage(), path, "x"); }), HasSubstr("is not the path of an object"));
    EXPECT_THAT(failure([&] { create(storage(), path, "x"); }), HasSubstr("is not the path of an object"));
    EXPECT_THAT(failure([&] { copy(storage(), "good", path); }), HasSubstr("is not the path of an object"));
    EXPECT_THAT(failure([&] { copy(storage(), path, "good"); }), HasSubstr("is not the path of an object"));
    EXPECT_THAT(failure([&] { storage().list(path); }), HasSubstr("is not the path of an object"));
    EXPECT_THAT(failure([&] { storage().link(path, 60); }), HasSubstr("is not the path of an object"));
    EXPECT_THAT(failure([&] { storage().get_range(path, 0, 1); }), HasSubstr("is not the path of an object"));
  }
  EXPECT_THAT(requests(), ElementsAre());
}

/// The loop of a scheduler makes links.
TEST_F(S3Test, TreeIsRemovedWithObjectsThatStandForDirectories) {
  answer_ = [&](const Received& request) -> Reply {
    if (request.method == "DELETE") return {.status = 204};
    return {.body =
                "<ListBucketResult><Contents><Key>root/F/17/</Key></Contents><Contents><Key>root/F/17/start/</Key>"
                "</Contents><Contents><Key>root/F/17/start/1</Key></Contents></ListBucketResult>"};
  };
  storage().remove_tree("F/17");
  std::vector<std::string> removed;
  for (const Received& request : server_.received()) {
    if (request.method == "DELETE") removed.push_back(request.target);
  }
  EXPECT_THAT(removed, testing::UnorderedElementsAre("/bucket/root/F/17/start/1", "/bucket/root/F/17/",
                                                     "/bucket/root/F/17/start/"));
}

TEST_F(S3Test, LinkDoesNotWaitForUploads) {
  answer_ = [](const Received&) -> Reply { return {.status = 403, .body = error_xml("AccessDenied")}; };
  const auto piece = base::as_bytes("1");
  storage().save_blob("F/data", std::span(&piece, 1), -1);
  EXPECT_TRUE(storage().link("F/data/kk/key", 60).has_value());
  EXPECT_THAT(failure([&] { storage().settle(); }), HasSubstr("AccessDenied"));
}

TEST(S3ServerTest, PresignedUrls) {
  const char* root = std::getenv("METAFLOW_TEST_S3");
  if (root == nullptr) GTEST_SKIP() << "no S3 server: METAFLOW_TEST_S3 is not set (test/e2e/test_s3.py does)";
  const base::Settings settings;
  const net::AwsConfig config(net::own_variables());
  S3Storage storage(root, s3_options(settings, config), config);
  const std::string key = storage.key_of("presigned/a b+c'\xC3\xBC");
  const std::string& bucket = storage.location().bucket;
  net::HttpClient http;
  const std::string write = storage.client().presign("PUT", bucket, key, 60);
  EXPECT_TRUE(http.fetch({.method = "PUT", .url = write, .body = net::text_body("content")}).ok());
  const std::string read = storage.client().presign("GET", bucket, key, 60);
  EXPECT_EQ(http.fetch({.url = read}).body, "content");
  EXPECT_EQ(storage.client().keys_expire(), 0);
}

}  // namespace
}  // namespace metaflow::store
