#include "net/aws_credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>

#include <metaflow/error.h>

#include "base/files.h"
#include "net/testing.h"

namespace metaflow::net {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class FakeClock : public base::Clock {
 public:
  std::int64_t wall_microseconds() override { return seconds * 1'000'000; }
  std::int64_t monotonic_microseconds() override { return seconds * 1'000'000; }
  std::int64_t boot_microseconds() override { return seconds * 1'000'000; }
  std::int64_t seconds = 1'790'000'000;  // 2026-09-21T14:13:20Z
};

std::string sts_answer(const std::string& action, const std::string& expiration) {
  return "<" + action + "Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><" + action +
         "Result><Credentials><AccessKeyId>ROLE</AccessKeyId><SecretAccessKey>role/secret</SecretAccessKey>"
         "<SessionToken>role-token</SessionToken><Expiration>" +
         expiration + "</Expiration></Credentials></" + action + "Result></" + action + "Response>";
}

class AwsCredentialsTest : public testing::Test {
 protected:
  AwsCredentialsTest() {
    std::string name = testing::TempDir() + "aws_XXXXXX";
    home_ = ::mkdtemp(name.data());
    variables_ = {{"HOME", home_}, {"AWS_EC2_METADATA_DISABLED", "true"}};
  }
  ~AwsCredentialsTest() override { std::filesystem::remove_all(home_); }

  void file(const std::string& name, const std::string& text) { base::replace_file(home_ + "/" + name, text); }

  AwsCredentialProvider& provider() {
    if (!provider_) {
      config_.emplace([this](const std::string& name) -> std::optional<std::string> {
        const auto found = variables_.find(name);
        return found == variables_.end() ? std::nullopt : std::optional(found->second);
      });
      config_->set_role(role_);
      provider_.emplace(http_, clock_, *config_);
    }
    return *provider_;
  }
  AwsKeys keys() { return provider().keys(); }
  std::string access_key() { return keys().access_key; }
  std::string failure() {
    try {
      return "keys of " + (keys(), provider().source());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_command);
      return error.what();
    }
  }

  std::string home_;
  std::string role_;
  std::map<std::string, std::string> variables_;
  FakeClock clock_;
  HttpClient http_;
  std::optional<AwsConfig> config_;
  std::optional<AwsCredentialProvider> provider_;
};

TEST_F(AwsCredentialsTest, Nothing) {
  EXPECT_THAT(failure(), HasSubstr("There are no AWS credentials"));
  EXPECT_THAT(failure(), HasSubstr("aws configure"));
}

TEST_F(AwsCredentialsTest, EnvironmentVariables) {
  variables_["AWS_ACCESS_KEY_ID"] = "ENV";
  EXPECT_THAT(failure(), HasSubstr("AWS_SECRET_ACCESS_KEY is not"));
  variables_["AWS_SECRET_ACCESS_KEY"] = "s";
  variables_["AWS_SESSION_TOKEN"] = "t";
  EXPECT_EQ(keys().access_key, "ENV");
  EXPECT_EQ(keys().session_token, "t");
  EXPECT_EQ(provider().expires(), 0);
}

TEST_F(AwsCredentialsTest, StaticProfiles) {
  file(".aws/credentials",
       "# comment\n[default]\naws_access_key_id = A\naws_secret_access_key=a ; not this\n\n"
       "[other]\naws_access_key_id=B\naws_secret_access_key=b#b\naws_session_token=t\n");
  file(".aws/config", "[profile in_config]\naws_access_key_id=C\naws_secret_access_key=c\nregion = eu-x-1\n");
  EXPECT_EQ(keys().secret_key, "a");
  provider_.reset();
  variables_["AWS_PROFILE"] = "other";
  EXPECT_EQ(keys().secret_key, "b#b");
  EXPECT_EQ(keys().session_token, "t");
  provider_.reset();
  variables_["AWS_PROFILE"] = "in_config";
  EXPECT_EQ(access_key(), "C");
  EXPECT_EQ(provider().region(), "eu-x-1");
  provider_.reset();
  variables_["AWS_PROFILE"] = "missing";
  EXPECT_THROW(provider(), Error);
}

TEST_F(AwsCredentialsTest, Processes) {
  file("keys.json", R"({"Version": 1, "AccessKeyId": "P", "SecretAccessKey": "s", "SessionToken": "t",
                       "Expiration": "2026-09-21T15:13:20Z"})");
  file(".aws/config", "[default]\ncredential_process = cat '" + home_ + "/keys.json'\n");
  EXPECT_EQ(access_key(), "P");
  EXPECT_EQ(provider().expires(), clock_.seconds + 3600);
  provider_.reset();
  file(".aws/config", "[default]\ncredential_process = sh -c 'echo secret; echo no luck >&2; exit 3'\n");
  EXPECT_THAT(failure(), HasSubstr("no luck"));
  EXPECT_THAT(failure(), Not(HasSubstr("secret;")));
  provider_.reset();
  file(".aws/config", "[default]\ncredential_process = echo '{}'\n");
  EXPECT_THAT(failure(), HasSubstr("version 1 JSON"));
}

TEST_F(AwsCredentialsTest, AssumedRoles) {
  std::string body;
  TestServer sts([&](const Received& request) {
    body = request.body;
    return Reply{.body = sts_answer("AssumeRole", "2026-09-21T15:13:20Z")};
  });
  variables_["AWS_ENDPOINT_URL_STS"] = sts.url();
  file(".aws/credentials", "[base]\naws_access_key_id=BASE\naws_secret_access_key=b\n");
  file(".aws/config",
       "[default]\nrole_arn=arn:aws:iam::1:role/r\nsource_profile=base\nexternal_id=x/1\nregion=eu-x-1\n"
       "[profile chain]\nrole_arn=r2\nsource_profile=default\n"
       "[profile self]\nrole_arn=r3\nsource_profile=a\n[profile a]\nrole_arn=r4\nsource_profile=b\n"
       "[profile b]\nrole_arn=r4\nsource_profile=a\n");
  EXPECT_EQ(access_key(), "ROLE");
  EXPECT_EQ(provider().expires(), clock_.seconds + 3600);
  EXPECT_THAT(body, HasSubstr("Action=AssumeRole&"));
  EXPECT_THAT(body, HasSubstr("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr"));
  EXPECT_THAT(body, HasSubstr("ExternalId=x%2F1"));
  EXPECT_THAT(sts.received()[0].headers.at("authorization"),
              StartsWith("AWS4-HMAC-SHA256 Credential=BASE/20260921/eu-x-1/sts/aws4_request"));
  provider_.reset();
  variables_["AWS_PROFILE"] = "chain";
  EXPECT_EQ(access_key(), "ROLE");
  EXPECT_EQ(sts.received().back().headers.at("x-amz-security-token"), "role-token");
  provider_.reset();
  variables_["AWS_PROFILE"] = "self";
  EXPECT_THAT(failure(), HasSubstr("refers to itself"));
}

TEST_F(AwsCredentialsTest, RoleIsAssumedWithTheCredentialsThatAreFound) {
  TestServer sts([&](const Received&) { return Reply{.body = sts_answer("AssumeRole", "2026-09-21T15:13:20Z")}; });
  variables_["AWS_ENDPOINT_URL_STS"] = sts.url();
  variables_["AWS_ACCESS_KEY_ID"] = "OWN";
  variables_["AWS_SECRET_ACCESS_KEY"] = "s";
  role_ = "arn:aws:iam::1:role/other";
  EXPECT_EQ(access_key(), "ROLE");
  EXPECT_THAT(sts.received()[0].body, HasSubstr("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fother"));
  EXPECT_THAT(sts.received()[0].headers.at("authorization"), StartsWith("AWS4-HMAC-SHA256 Credential=OWN/"));
  EXPECT_EQ(provider().source(), "role 'arn:aws:iam::1:role/other' with the credentials of the environment");
}

TEST_F(AwsCredentialsTest, RejectionsBySts) {
  TestServer sts([&](const Received&) {
    return Reply{.status = 403,
                 .body =
                     "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error>"
                     "</ErrorResponse>"};
  });
  variables_["AWS_ENDPOINT_URL_STS"] = sts.url();
  file(".aws/config", "[default]\nrole_arn=r\ncredential_source=Environment\n");
  variables_["AWS_PROFILE"] = "default";
  EXPECT_THAT(failure(), HasSubstr("credential_source Environment has no credentials"));
  file("token", "web-token\n");
  file(".aws/config", "[default]\nrole_arn=r\nweb_identity_token_file=" + home_ + "/token\n");
  provider_.reset();
  EXPECT_THAT(failure(), HasSubstr("AccessDenied: not you"));
  EXPECT_THAT(failure(), Not(HasSubstr("web-token")));
}

TEST_F(AwsCredentialsTest, KeysAreNotSentUnencrypted) {
  variables_["AWS_ENDPOINT_URL"] = "http://aws.invalid";
  file("token", "web-token\n");
  file(".aws/config", "[default]\nrole_arn=r\nweb_identity_token_file=" + home_ + "/token\n");
  EXPECT_THAT(failure(), HasSubstr("the AWS service sts is http://aws.invalid, which is not https"));
  provider_.reset();
  file(".aws/config",
       "[default]\nrole_arn=r\nsource_profile=base\n[profile base]\naws_access_key_id=A\n"
       "aws_secret_access_key=b\n");
  EXPECT_THAT(failure(), HasSubstr("the AWS service sts is http://aws.invalid, which is not https"));
  provider_.reset();
  file(".aws/config",
       "[default]\nsso_session = corp\nsso_account_id = 123\nsso_role_name = r\n"
       "[sso-session corp]\nsso_region = eu-x-1\nsso_start_url = https://corp/start\n");
  base::replace_file(home_ + "/.aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json",  // SHA-1 of "corp"
                     R"({"accessToken": "token", "expiresAt": "2026-12-01T00:00:00Z"})");
  EXPECT_THAT(failure(), HasSubstr("AWS's single sign-on is http://aws.invalid, which is not https"));
}

TEST_F(AwsCredentialsTest, WebIdentityIsReadAtEachRenewal) {
  std::vector<std::string> bodies;
  TestServer sts([&](const Received& request) {
    bodies.push_back(request.body);
    EXPECT_FALSE(request.headers.contains("authorization"));
    return Reply{.body = sts_answer("AssumeRoleWithWebIdentity",
                                    bodies.size() == 1 ? "2026-09-21T15:13:20Z" : "2026-09-21T16:13:20.000Z")};
  });
  variables_["AWS_ENDPOINT_URL_STS"] = sts.url();
  variables_["AWS_ROLE_ARN"] = "role";
  variables_["AWS_WEB_IDENTITY_TOKEN_FILE"] = home_ + "/token";
  file("token", "first\n");
  EXPECT_EQ(access_key(), "ROLE");
  clock_.seconds += 40 * 60;
  EXPECT_EQ(access_key(), "ROLE");
  EXPECT_EQ(bodies.size(), 1U) << "20 minutes are left";
  clock_.seconds += 6 * 60;
  file("token", "second");
  EXPECT_EQ(access_key(), "ROLE");
  ASSERT_EQ(bodies.size(), 2U);
  EXPECT_THAT(bodies[0], EndsWith("WebIdentityToken=first"));
  EXPECT_THAT(bodies[1], EndsWith("WebIdentityToken=second"));
}

TEST_F(AwsCredentialsTest, AFailedRenewalIsRetriedWhileTheOldKeysAreValid) {
  int asked = 0;
  TestServer endpoint([&](const Received& request) {
    EXPECT_EQ(request.headers.at("authorization"), "pod-token");
    if (++asked > 1) return Reply{.status = 400};
    return Reply{
        .body =
            R"({"AccessKeyId": "POD", "SecretAccessKey": "s", "Token": "t", "Expiration": "2026-09-21T15:13:20Z"})"};
  });
  file("token", "pod-token");
  variables_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = endpoint.url("/v2/credentials");
  variables_["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = home_ + "/token";
  EXPECT_EQ(access_key(), "POD");
  clock_.seconds += 50 * 60;
  EXPECT_EQ(access_key(), "POD");
  const int after = asked;
  EXPECT_GT(after, 1);
  EXPECT_EQ(access_key(), "POD");
  EXPECT_EQ(asked, after) << "not at once";
  clock_.seconds += 11 * 60;
  EXPECT_THAT(failure(), HasSubstr("the container's endpoint: HTTP status 400"));
}

TEST_F(AwsCredentialsTest, TheContainerTokenIsSentToAllowedHostsOnly) {
  for (const char* url :
       {"http://example.com/x", "http://127.0.0.1.example.com/", "http://user@example.com/127.0.0.1"}) {
    variables_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = url;
    provider_.reset();
    EXPECT_THAT(failure(), HasSubstr("neither https nor on this machine")) << url;
  }
}

TEST_F(AwsCredentialsTest, MachineMetadata) {
  std::string region = "us-west-2";
  TestServer imds([&](const Received& request) {
    if (request.method == "PUT") return Reply{.body = "imds-token"};
    if (request.headers.at("x-aws-ec2-metadata-token") != "imds-token") return Reply{.status = 401};
    if (request.target.ends_with("/security-credentials/")) return Reply{.body = "my-role"};
    if (request.target.ends_with("/region")) return Reply{.body = region};
    EXPECT_THAT(request.target, EndsWith("/my-role"));
    return Reply{
        .body =
            R"({"AccessKeyId": "EC2", "SecretAccessKey": "s", "Token": "t", "Expiration": "2026-09-21T15:13:20Z"})"};
  });
  variables_.erase("AWS_EC2_METADATA_DISABLED");
  variables_["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = imds.url("/");
  EXPECT_EQ(access_key(), "EC2");
  EXPECT_EQ(provider().region(), "us-west-2");
  // The region is a part of the host names that receive keys.
  provider_.reset();
  region = "evil.com/";
  EXPECT_EQ(access_key(), "EC2");
  EXPECT_EQ(provider().region(), std::nullopt);
}

TEST_F(AwsCredentialsTest, SingleSignOn) {
  std::string refreshed;
  TestServer aws([&](const Received& request) {
    if (request.method == "POST") {
      refreshed = request.body;
      return Reply{.body = R"({"accessToken": "new-token", "expiresIn": 3600, "refreshToken": "next"})"};
    }
    if (request.headers.at("x-amz-sso_bearer_token") != "new-token") return Reply{.status = 401};
    EXPECT_EQ(request.target, "/federation/credentials?role_name=Dev%20Role&account_id=123");
    return Reply{.body = R"({"roleCredentials": {"accessKeyId": "SSO", "secretAccessKey": "s", "sessionToken": "t",
                           "expiration": 1790003600000}})"};
  });
  variables_["AWS_ENDPOINT_URL_SSO"] = variables_["AWS_ENDPOINT_URL_SSO_OIDC"] = aws.url();
  file(".aws/config",
       "[default]\nsso_session = corp\nsso_account_id = 123\nsso_role_name = Dev Role\n"
       "[sso-session corp]\nsso_region = eu-x-1\nsso_start_url = https://corp/start\n");
  EXPECT_THAT(failure(), HasSubstr("aws sso login --profile default"));
  provider_.reset();
  variables_["AWS_CONFIG_FILE"] = home_ + "/elsewhere";
  file("elsewhere", "[default]\nsso_account_id = 123\nsso_region = evil.com/\nsso_start_url = https://corp/start\n");
  EXPECT_THAT(failure(), HasSubstr("'evil.com/' is not an AWS region"));
  variables_.erase("AWS_CONFIG_FILE");
  provider_.reset();
  const std::string path = home_ + "/.aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";  // SHA-1 of "corp"
  base::replace_file(path, R"({"accessToken": "old-token", "expiresAt": "2026-09-21T14:00:00Z"})");
  EXPECT_THAT(failure(), HasSubstr("has expired"));
  base::replace_file(path, R"({"accessToken": "old-token", "expiresAt": "2026-09-21T14:00:00Z", "clientId": "c",
    "clientSecret": "cs", "refreshToken": "r", "registrationExpiresAt": "2026-12-01T00:00:00Z"})");
  EXPECT_EQ(access_key(), "SSO");
  EXPECT_EQ(provider().expires(), clock_.seconds + 3600);
  EXPECT_THAT(refreshed, HasSubstr(R"("refreshToken":"r")"));
  EXPECT_THAT(base::read_file(path)->text(), HasSubstr(R"("refreshToken":"next")"));
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(AwsCredentialsTest, Endpoints) {
  file(
      ".aws/config",
      "[default]\nservices = local\nendpoint_url = http://all\n[services local]\ns3 =\n  endpoint_url = http://mine\n");
  provider();
  EXPECT_EQ(config_->endpoint("s3"), "http://mine");
  EXPECT_EQ(config_->endpoint("sts"), "http://all");
  variables_["AWS_ENDPOINT_URL"] = "http://env";
  EXPECT_EQ(config_->endpoint("s3"), "http://env");
  variables_["AWS_ENDPOINT_URL_S3"] = "http://s3";
  EXPECT_EQ(config_->endpoint("s3"), "http://s3");
  variables_["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "true";
  EXPECT_EQ(config_->endpoint("s3"), std::nullopt);
}

}  // namespace
}  // namespace metaflow::net
