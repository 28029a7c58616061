#include "compute/kubernetes/client/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/files.h"
#include "base/json.h"

namespace metaflow::kube {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;

/// A wall clock that is set by hand; time for timers runs on.
class FakeClock : public base::SystemClock {
 public:
  std::int64_t wall_microseconds() override { return seconds * 1'000'000; }
  std::int64_t seconds = 1'790'000'000;  // 2026-09-21T14:13:20Z
};

constexpr std::int64_t kPause = 1000;  // microseconds

class KubernetesCredentialsTest : public testing::Test {
 protected:
  KubernetesCredentialsTest() : loop_(clock_) {
    std::string name = testing::TempDir() + "kube_XXXXXX";
    home_ = ::mkdtemp(name.data());
    access_.cluster.server = "https://one.example";
    access_.source = "context 'x' of /k";
  }
  ~KubernetesCredentialsTest() override { std::filesystem::remove_all(home_); }

  void file(const std::string& name, const std::string& text) { base::replace_file(home_ + "/" + name, text); }

  /// Writes a plugin that appends a line to `runs` each time it runs.
  void plugin(const std::string& script) {
    file("plugin", "#!/bin/sh\necho run >>" + home_ + "/runs\n" + script + "\n");
    ::chmod((home_ + "/plugin").c_str(), 0700);
    access_.user.exec = ExecPlugin{.api_version = "client.authentication.k8s.io/v1", .command = home_ + "/plugin"};
  }
  static std::string says(const std::string& status) {
    return "echo '{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": \"ExecCredential\", \"status\": " +
           status + "}'";
  }
  std::size_t runs() {
    const auto text = base::read_file(home_ + "/runs");
    return text ? text->size() / 4 : 0;
  }

  Credentials::Found get() {
    if (!credentials_) credentials_.emplace(loop_, clock_, access_, kPause);
    std::optional<Credentials::Found> found;
    credentials_->get([&](const Credentials::Found& given) { found = given; });
    while (!found) loop_.run_once();
    return *found;
  }
  net::Headers headers() {
    const Credentials::Found found = get();
    EXPECT_EQ(found.error ? found.error->what() : std::string(), "");
    return found.identity.headers;
  }
  std::string failure() {
    const Credentials::Found found = get();
    return found.error ? found.error->what() : "there is no error";
  }

  std::string home_;
  FakeClock clock_;
  base::EventLoop loop_;
  Access access_;
  std::optional<Credentials> credentials_;
};

TEST_F(KubernetesCredentialsTest, NoUser) { EXPECT_THAT(headers(), IsEmpty()); }

TEST_F(KubernetesCredentialsTest, TokenAndImpersonation) {
  access_.user.token = "t";
  access_.user.impersonation = {{"Impersonate-User", "boss"}};
  EXPECT_THAT(headers(), ElementsAre(Pair("Impersonate-User", "boss"), Pair("Authorization", "Bearer t")));
  EXPECT_FALSE(credentials_->refused(get().identity.generation));
}

TEST_F(KubernetesCredentialsTest, Password) {
  access_.user.user_name = "Aladdin";
  access_.user.password = "open sesame";
  EXPECT_THAT(headers(), ElementsAre(Pair("Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")));
}

TEST_F(KubernetesCredentialsTest, Certificates) {
  access_.cluster.authority.data = "CA";
  access_.cluster.server_name = "inside";
  access_.cluster.proxy = "http://p";
  access_.user.certificate.file = "/c";
  access_.user.key.data = "KEY";
  const Identity identity = get().identity;
  EXPECT_EQ(identity.tls->ca_data, "CA");
  EXPECT_EQ(identity.tls->server_name, "inside");
  EXPECT_EQ(identity.tls->certificate_file, "/c");
  EXPECT_EQ(identity.tls->key_data, "KEY");
  EXPECT_TRUE(identity.tls->verify);
  EXPECT_EQ(identity.proxy, "http://p");
  EXPECT_EQ(get().identity.tls, identity.tls);  // so that connections are shared
}

TEST_F(KubernetesCredentialsTest, TokenFileIsReadAgain) {
  file("token", "one\n");
  access_.user.token = "not this";
  access_.user.token_file = home_ + "/token";
  EXPECT_THAT(headers(), ElementsAre(Pair("Authorization", "Bearer one")));
  file("token", "two\n");
  EXPECT_THAT(headers(), ElementsAre(Pair("Authorization", "Bearer one")));
  clock_.seconds += 60;
  EXPECT_THAT(headers(), ElementsAre(Pair("Authorization", "Bearer two")));
  file("token", "three\n");
  EXPECT_TRUE(credentials_->refused(get().identity.generation));
  EXPECT_THAT(headers(), ElementsAre(Pair("Authorization", "Bearer three")));
  // The last token stays valid when the file is gone.
  std::filesystem::remove(home_ + "/token");
  clock_.seconds += 60;
  EXPECT_THAT(headers(), ElementsAre(Pair("Authorization", "Bearer three")));
}

TEST_F(KubernetesCredentialsTest, NoTokenFile) {
  access_.user.token_file = home_ + "/token";
  EXPECT_THAT(failure(), AllOf(HasSubstr("Cannot read the token for https://one.example"), HasSubstr("missing")));
  file("token", "\n");
  EXPECT_THAT(failure(), HasSubstr("empty"));
  file("token", "t");
  EXPECT_THAT(headers(), ElementsAre(Pair("Authorization", "Bearer t")));
}

TEST_F(KubernetesCredentialsTest, PluginRunsOnceUntilItsTokenExpires) {
  plugin(says(R"({"token": "secret", "expirationTimestamp": "2026-09-21T14:23:20Z"})"));  // in ten minutes
  credentials_.emplace(loop_, clock_, access_, kPause);
  int given = 0;
  for (int i = 0; i < 3; ++i) credentials_->get([&](const Credentials::Found& found) { given += found.error ? 0 : 1; });
  EXPECT_EQ(given, 0);
  while (given < 3) loop_.run_once();
  EXPECT_THAT(headers(), ElementsAre(Pair("Authorization", "Bearer secret")));
  clock_.seconds += 539;
  (void)get();
  EXPECT_EQ(runs(), 1U);
  clock_.seconds += 2;
  plugin(says(R"({"token": "next", "expirationTimestamp": "2027-09-21T14:23:20Z"})"));
  EXPECT_THAT(headers(), ElementsAre(Pair("Authorization", "Bearer secret")))
      << "valid for another minute: no call waits";
  while (headers() != net::Headers{{"Authorization", "Bearer next"}}) loop_.run_once();
  EXPECT_EQ(runs(), 2U);
}

TEST_F(KubernetesCredentialsTest, RefusedTokenIsNotUsedWhileThePluginRuns) {
  plugin(says(R"({"token": "old", "expirationTimestamp": "2026-09-21T14:23:20Z"})"));
  const std::uint64_t generation = get().identity.generation;
  clock_.seconds += 550;
  plugin(says(R"({"token": "new"})"));
  EXPECT_THAT(headers(), ElementsAre(Pair("Authorization", "Bearer old")));
  EXPECT_TRUE(credentials_->refused(generation));
  EXPECT_THAT(headers(), ElementsAre(Pair("Authorization", "Bearer new")));
  EXPECT_EQ(runs(), 2U);
}

TEST_F(KubernetesCredentialsTest, PluginRunsAgainAfterARefusal) {
  plugin(says(R"({"token": "t"})"));
  const std::uint64_t generation = get().identity.generation;
  EXPECT_TRUE(credentials_->refused(generation));
  (void)get();
  EXPECT_TRUE(credentials_->refused(generation));  // for others that used it, there is a new one already
  (void)get();
  EXPECT_EQ(runs(), 2U);
}

TEST_F(KubernetesCredentialsTest, PluginWithCertificate) {
  plugin(says(R"({"clientCertificateData": "CERT", "clientKeyData": "KEY"})"));
  const Identity identity = get().identity;
  EXPECT_THAT(identity.headers, IsEmpty());
  EXPECT_EQ(identity.tls->certificate_data, "CERT");
  EXPECT_EQ(identity.tls->key_data, "KEY");
}

TEST_F(KubernetesCredentialsTest, EnvironmentOfAPlugin) {
  plugin("echo \"$KUBERNETES_EXEC_INFO\" >" + home_ + "/info; echo \"$1 $EXTRA\" >" + home_ + "/rest\n" +
         says(R"({"token": "t"})"));
  access_.user.exec->arguments = {"get-token"};
  access_.user.exec->environment = {{"EXTRA", "more"}};
  (void)get();
  auto info = base::Json::parse_or_throw(base::read_file(home_ + "/info")->text());
  EXPECT_EQ(info["apiVersion"], "client.authentication.k8s.io/v1");
  EXPECT_EQ(info["kind"], "ExecCredential");
  EXPECT_EQ(info["spec"], base::Json({{"interactive", false}}));
  EXPECT_EQ(base::read_file(home_ + "/rest")->text(), "get-token more\n");

  credentials_.reset();
  access_.user.exec->provide_cluster_info = true;
  file("ca", "CA");
  access_.cluster.authority.file = home_ + "/ca";
  access_.cluster.server_name = "inside";
  (void)get();
  info = base::Json::parse_or_throw(base::read_file(home_ + "/info")->text());
  EXPECT_EQ(info["spec"]["cluster"], base::Json({{"server", "https://one.example"},
                                                 {"certificate-authority-data", "Q0E="},
                                                 {"tls-server-name", "inside"}}));
}

TEST_F(KubernetesCredentialsTest, PluginsThatFail) {
  auto failure_of = [&](const std::string& script) {
    credentials_.reset();
    plugin(script);
    return failure();
  };
  EXPECT_THAT(failure_of("echo hidden; echo trying >&2; echo 'please log in' >&2; exit 3"),
              AllOf(HasSubstr("Cannot get credentials for https://one.example from " + home_ + "/plugin"),
                    HasSubstr("exit code 3: please log in"), Not(HasSubstr("hidden"))));
  EXPECT_THAT(failure_of("kill -9 $$"), HasSubstr("SIGKILL"));
  EXPECT_THAT(failure_of("echo hidden"),
              AllOf(HasSubstr("does not print an ExecCredential"), Not(HasSubstr("hidden"))));
  EXPECT_THAT(failure_of(says("{}")), HasSubstr("neither a token nor a certificate"));
  EXPECT_THAT(failure_of(says(R"({"clientKeyData": "hidden"})")), AllOf(HasSubstr("only"), Not(HasSubstr("hidden"))));
  EXPECT_THAT(failure_of(says(R"({"token": "t", "expirationTimestamp": "soon"})")), HasSubstr("is not a time"));
  EXPECT_THAT(failure_of(R"(echo '{"apiVersion": "v0", "kind": "ExecCredential"}')"), HasSubstr("another apiVersion"));
  EXPECT_THAT(failure_of("yes hidden"), AllOf(HasSubstr("too much"), Not(HasSubstr("hidden"))));
  credentials_.reset();
  access_.user.exec->command = "/nowhere/plugin";
  access_.user.exec->install_hint = "Install it.";
  EXPECT_THAT(failure(), AllOf(HasSubstr("/nowhere/plugin"), HasSubstr("Install it.")));
  credentials_.reset();
  access_.user.exec->command = "no-such-plugin";
  EXPECT_THAT(failure(), HasSubstr("it is not in PATH"));
}

TEST_F(KubernetesCredentialsTest, FailedPluginIsRetried) {
  plugin("[ $(wc -l <" + home_ + "/runs) -ge 3 ] || { echo throttled >&2; exit 1; }\n" + says(R"({"token": "t"})"));
  credentials_.emplace(loop_, clock_, access_, kPause);
  int answered = 0;
  for (int i = 0; i < 3; ++i) {
    credentials_->get([&](const Credentials::Found& found) {
      ++answered;
      EXPECT_FALSE(found.error);
    });
  }
  while (answered < 3) loop_.run_once();
  EXPECT_EQ(runs(), 3U) << "one more run for all waiting calls";
}

TEST_F(KubernetesCredentialsTest, PluginRunsFourTimesAtMost) {
  plugin("exit 1");
  EXPECT_THAT(failure(), HasSubstr("it failed with exit code 1"));
  EXPECT_EQ(runs(), 4U);
  (void)failure();
  EXPECT_EQ(runs(), 8U) << "the next call runs it again";
}

TEST_F(KubernetesCredentialsTest, PluginWithABadAnswerRunsOnce) {
  plugin("echo nonsense");
  (void)failure();
  EXPECT_EQ(runs(), 1U);
}

TEST_F(KubernetesCredentialsTest, OldTokenIsUsedWhileItIsValid) {
  plugin(says(R"({"token": "old", "expirationTimestamp": "2026-09-21T14:23:20Z"})"));
  EXPECT_FALSE(get().may_recover == false);
  plugin("exit 1");
  clock_.seconds += 595;
  EXPECT_THAT(headers(), ElementsAre(Pair("Authorization", "Bearer old")));
  clock_.seconds += 5;
  const Credentials::Found found = get();
  EXPECT_TRUE(found.error);
  EXPECT_TRUE(found.may_recover);
  plugin(says(R"({"token": "new"})"));
  EXPECT_THAT(headers(), ElementsAre(Pair("Authorization", "Bearer new")));
}

TEST_F(KubernetesCredentialsTest, EndsAPluginThatRuns) {
  plugin("exec sleep 1000");
  credentials_.emplace(loop_, clock_, access_, kPause);
  credentials_->get([](const Credentials::Found&) { FAIL(); });
  credentials_.reset();
  loop_.poll();
}

}  // namespace
}  // namespace metaflow::kube
