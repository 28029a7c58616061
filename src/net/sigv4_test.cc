#include "net/sigv4.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"

namespace metaflow::net {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

// The examples of AWS's documentation of S3: "Signature Calculations for the Authorization Header".
const AwsKeys kKeys{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
const SigningScope kScope{"us-east-1", "s3", 1369353600};  // 20130524T000000Z
const std::string kEndpoint = "https://examplebucket.s3.amazonaws.com";

std::string authorization(const AwsRequest& request, const AwsKeys& keys = kKeys, const SigningScope& scope = kScope) {
  return sign(request, keys, scope).headers.back().second;
}

TEST(SigV4, GetObject) {
  const std::string header =
      authorization({.endpoint = kEndpoint, .path = "/test.txt", .headers = {{"Range", "bytes=0-9"}}});
  EXPECT_EQ(header,
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(SigV4, PutObject) {
  const std::string header = authorization(
      {.method = "PUT",
       .endpoint = kEndpoint,
       .path = "/test$file.text",
       .headers = {{"Date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
       .payload_sha256 = base::sha256_hex("Welcome to Amazon S3.")});
  EXPECT_THAT(header, EndsWith("=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
}

TEST(SigV4, Queries) {
  EXPECT_THAT(authorization({.endpoint = kEndpoint, .query = {{"lifecycle", ""}}}),
              EndsWith("=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
  EXPECT_THAT(authorization({.endpoint = kEndpoint, .query = {{"prefix", "J"}, {"max-keys", "2"}}}),
              EndsWith("=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

TEST(SigV4, Presigned) {
  EXPECT_EQ(presign({.endpoint = kEndpoint, .path = "/test.txt"}, kKeys, kScope, 86400),
            "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&"
            "X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&"
            "X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&"
            "X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

// AWS's test suite for signature version 4 ("get-vanilla", "post-vanilla-query", ...).
const AwsKeys kSuiteKeys{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};
const SigningScope kSuiteScope{"us-east-1", "service", 1440938160};  // 20150830T123600Z

TEST(SigV4, TestSuite) {
  auto suite = [](AwsRequest request) {
    request.endpoint = "https://example.amazonaws.com";
    return authorization(request, kSuiteKeys, kSuiteScope);
  };
  EXPECT_EQ(suite({}),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
            "SignedHeaders=host;x-amz-date, "
            "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  EXPECT_THAT(suite({.method = "POST"}), EndsWith("=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"));
  EXPECT_THAT(suite({.query = {{"Param2", "value2"}, {"Param1", "value1"}}}),
              EndsWith("=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"));
}

TEST(SigV4, SessionTokensAreSigned) {
  const SignedRequest request = sign({.endpoint = kEndpoint, .path = "/x"}, {"AKID", "secret", "to/ken=="}, kScope);
  EXPECT_THAT(request.headers, testing::Contains(Header("x-amz-security-token", "to/ken==")));
  EXPECT_THAT(request.headers.back().second, HasSubstr("x-amz-security-token"));
  EXPECT_THAT(presign({.endpoint = kEndpoint}, {"AKID", "secret", "to/ken=="}, kScope, 60),
              HasSubstr("&X-Amz-Security-Token=to%2Fken%3D%3D&"));
}

TEST(SigV4, Encoding) {
  EXPECT_EQ(encode_query({{"b", "1 2"}, {"a", ""}, {"a-b", "x"}}), "a=&a-b=x&b=1%202");
  EXPECT_EQ(sign({.endpoint = "http://h:9000", .path = "/b/x y/a+b", .query = {{"k", "/"}}}, kKeys, kScope).url,
            "http://h:9000/b/x%20y/a%2Bb?k=%2F");
}

}  // namespace
}  // namespace metaflow::net
