#include "net/plain_http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include <metaflow/error.h>

namespace metaflow::net {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(PlainHttp, UnencryptedUrls) {
  for (const char* url :
       {"http://minio:9000", "http://10.0.0.1", "http://169.254.1.1/x", "http://127.0.0.1.example.com", "http://127.1",
        "http://localhost.example.com", "http://localhost@minio/", "http://[::2]:80", "http://127.0.0.1\\@minio/",
        "HTTP://minio", "ftp://minio", "minio:9000", ""})
    EXPECT_TRUE(is_unencrypted(url)) << url;
  for (const char* url :
       {"https://minio:9000", "https://x", "http://127.0.0.1:9000/x", "http://127.8.9.1", "http://localhost",
        "http://LOCALHOST:80", "http://s3.localhost/x", "http://[::1]:8080/", "http://me:pass@127.0.0.1/"})
    EXPECT_FALSE(is_unencrypted(url)) << url;
}

TEST(PlainHttp, TheUserCanAllowPlainHttp) {
  std::map<std::string, std::string> set;
  const Variables variables = [&](const std::string& name) {
    return set.contains(name) ? std::optional(set[name]) : std::nullopt;
  };
  const char* url = "http://me:hidden@minio:9000/x?y";
  auto refusal = [&]() -> std::string {
    try {
      check_keys_are_encrypted(url, "The S3 endpoint", variables);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_command);
      return error.what();
    }
    return "none";
  };
  EXPECT_THAT(refusal(), AllOf(HasSubstr("The S3 endpoint is http://minio:9000/x, which is not https"),
                               HasSubstr("METAFLOW_ALLOW_PLAIN_HTTP=1"), Not(HasSubstr("hidden"))));
  set["METAFLOW_ALLOW_PLAIN_HTTP"] = "0";
  EXPECT_NE(refusal(), "none");
  for (const char* yes : {"1", "true", "True", "yes"}) {
    set["METAFLOW_ALLOW_PLAIN_HTTP"] = yes;
    EXPECT_EQ(refusal(), "none") << yes;
  }
  set.clear();
  url = "https://minio";
  EXPECT_EQ(refusal(), "none");
}

}  // namespace
}  // namespace metaflow::net
