#include "compute/kubernetes/client/kubeconfig.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include <metaflow/error.h>

#include "base/files.h"

namespace metaflow::kube {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

constexpr std::string_view kWhole = R"(
apiVersion: v1
kind: Config
current-context: work
clusters:
- name: one
  cluster: {server: https://one.example:6443/, certificate-authority-data: Q0EgT05F, tls-server-name: inside, proxy-url: "http://proxy:3128"}
- name: open
  cluster:
    server: http://127.0.0.1:8001
- name: loose
  cluster: {server: "https://loose.example/k8s/clusters/c-1", insecure-skip-tls-verify: true}
contexts:
- name: work
  context: {cluster: one, user: me, namespace: team}
- name: robot
  context: {cluster: loose, user: robot}
- name: proxied
  context: {cluster: open, user: ""}
- name: lost
  context: {cluster: gone, user: me}
users:
- name: me
  user: {client-certificate-data: Q0VSVA==, client-key-data: S0VZ}
- name: robot
  user:
    as: boss
    as-groups: [a, b]
    as-user-extra: {reason: [why not]}
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: bin/plugin
      args: [get-token, --cluster, x]
      env: [{name: AWS_PROFILE, value: prod}]
      installHint: Get it.
      interactiveMode: IfAvailable
      provideClusterInfo: true
)";

class KubeconfigTest : public testing::Test {
 protected:
  KubeconfigTest() {
    std::string name = testing::TempDir() + "kube_XXXXXX";
    home_ = ::mkdtemp(name.data());
    variables_["HOME"] = home_;
  }
  ~KubeconfigTest() override { std::filesystem::remove_all(home_); }

  std::string file(const std::string& name, std::string_view text) {
    base::replace_file(home_ + "/" + name, text);
    return home_ + "/" + name;
  }
  Access find(const std::string& context = {}) {
    return find_access(
        [this](const std::string& name) -> std::optional<std::string> {
          const auto found = variables_.find(name);
          return found == variables_.end() ? std::nullopt : std::optional(found->second);
        },
        context, home_ + "/account");
  }
  std::string failure(const std::string& context = {}) {
    try {
      return "nothing is wrong with " + find(context).source;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_command);
      return error.what();
    }
  }
  /// Returns the error for a file with this user, or this cluster.
  std::string failure_of(const std::string& user, const std::string& cluster = "server: https://x") {
    variables_["KUBECONFIG"] =
        file("config", "current-context: c\nclusters: [{name: c, cluster: {" + cluster +
                           "}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {" +
                           user + "}}]");
    return failure();
  }

  std::string home_;
  std::map<std::string, std::string> variables_;
};

TEST_F(KubeconfigTest, CurrentContext) {
  file(".kube/config", kWhole);
  const Access access = find();
  EXPECT_EQ(access.cluster.server, "https://one.example:6443");
  EXPECT_EQ(access.cluster.authority.data, "CA ONE");
  EXPECT_EQ(access.cluster.server_name, "inside");
  EXPECT_EQ(access.cluster.proxy, "http://proxy:3128");
  EXPECT_TRUE(access.cluster.verify);
  EXPECT_EQ(access.user.certificate.data, "CERT");
  EXPECT_EQ(access.user.key.data, "KEY");
  EXPECT_EQ(access.name_space, "team");
  EXPECT_EQ(access.source, "context 'work' of " + home_ + "/.kube/config");
}

TEST_F(KubeconfigTest, PluginAndImpersonation) {
  variables_["KUBECONFIG"] = file("k/config", kWhole);
  const Access access = find("robot");
  EXPECT_FALSE(access.cluster.verify);
  EXPECT_EQ(access.cluster.server, "https://loose.example/k8s/clusters/c-1");
  ASSERT_TRUE(access.user.exec);
  EXPECT_EQ(access.user.exec->command, home_ + "/k/bin/plugin");
  EXPECT_THAT(access.user.exec->arguments, ElementsAre("get-token", "--cluster", "x"));
  EXPECT_THAT(access.user.exec->environment, ElementsAre(Pair("AWS_PROFILE", "prod")));
  EXPECT_TRUE(access.user.exec->provide_cluster_info);
  EXPECT_THAT(access.user.impersonation,
              ElementsAre(Pair("Impersonate-User", "boss"), Pair("Impersonate-Group", "a"),
                          Pair("Impersonate-Group", "b"), Pair("Impersonate-Extra-reason", "why not")));
}

TEST_F(KubeconfigTest, WithoutUser) {
  variables_["KUBECONFIG"] = file("config", kWhole);
  EXPECT_EQ(find("proxied").cluster.server, "http://127.0.0.1:8001");
}

TEST_F(KubeconfigTest, CredentialsAreNotSentUnencrypted) {
  auto config = [&](const std::string& server, const std::string& user) {
    variables_["KUBECONFIG"] = file("plain", "current-context: x\nclusters: [{name: c, cluster: {server: '" + server +
                                                 "'}}]\nusers: [{name: u, user: {" + user +
                                                 "}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n");
    return failure();
  };
  for (const char* user : {"token: t", "tokenFile: /t", "username: u, password: p",
                           "exec: {apiVersion: client.authentication.k8s.io/v1, command: p}"}) {
    EXPECT_THAT(config("http://cluster:8080", user), HasSubstr("/plain is http://cluster:8080, which is not https"))
        << user;
    EXPECT_THAT(config("http://127.0.0.1:8001", user), HasSubstr("nothing is wrong")) << user;
    EXPECT_THAT(config("https://cluster", user), HasSubstr("nothing is wrong")) << user;
  }
  EXPECT_THAT(config("http://cluster:8080", ""), HasSubstr("nothing is wrong")) << "there are no credentials";
  variables_["METAFLOW_ALLOW_PLAIN_HTTP"] = "1";
  EXPECT_THAT(config("http://cluster:8080", "token: t"), HasSubstr("nothing is wrong"));
}

TEST_F(KubeconfigTest, FirstFileWins) {
  const std::string first = file(
      "a/1",
      "current-context: x\nclusters: [{name: c, cluster: {server: 'https://first', certificate-authority: ca.crt}}]");
  file("a/ca.crt", "CA");
  const std::string second = file("b/2", R"(
current-context: y
clusters: [{name: c, cluster: {server: 'https://second', tls-server-name: other}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
users: [{name: u, user: {tokenFile: ../b/token}}])");
  variables_["KUBECONFIG"] = ":" + first + ":" + home_ + "/missing:" + second;
  const Access access = find();
  EXPECT_EQ(access.cluster.server, "https://first");
  EXPECT_EQ(access.cluster.server_name, "");  // the whole entry is the first file's
  EXPECT_EQ(access.cluster.authority.file, home_ + "/a/ca.crt");
  EXPECT_EQ(access.user.token_file, home_ + "/b/token");
}

TEST_F(KubeconfigTest, ServiceAccount) {
  variables_["KUBERNETES_SERVICE_HOST"] = "fd00::1";
  variables_["KUBERNETES_SERVICE_PORT"] = "6443";
  EXPECT_THAT(failure(), HasSubstr("there is no " + home_ + "/account/token"));
  file("account/token", "t");
  file("account/ca.crt", "CA");
  file("account/namespace", "flows\n");
  const Access access = find();
  EXPECT_EQ(access.cluster.server, "https://[fd00::1]:6443");
  EXPECT_EQ(access.cluster.authority.file, home_ + "/account/ca.crt");
  EXPECT_EQ(access.user.token_file, home_ + "/account/token");
  EXPECT_EQ(access.name_space, "flows");
  EXPECT_EQ(access.source, "the pod's service account");
  // KUBECONFIG wins.
  variables_["KUBECONFIG"] = file("config", kWhole);
  EXPECT_EQ(find().name_space, "team");
}

TEST_F(KubeconfigTest, MissingFiles) {
  EXPECT_THAT(failure(), AllOf(HasSubstr(home_ + "/.kube/config does not exist"), HasSubstr("Set KUBECONFIG")));
  variables_["KUBECONFIG"] = home_ + "/a:" + home_ + "/b";
  EXPECT_THAT(failure(), HasSubstr(home_ + "/a or " + home_ + "/b does not exist"));
  variables_.clear();
  EXPECT_THAT(failure(), HasSubstr("neither KUBECONFIG nor HOME is set"));
}

TEST_F(KubeconfigTest, MissingNames) {
  variables_["KUBECONFIG"] = file("config", kWhole);
  EXPECT_THAT(failure("wrok"),
              AllOf(HasSubstr("no context 'wrok'"), HasSubstr("There are: lost, proxied, robot, work.")));
  EXPECT_THAT(failure("lost"), HasSubstr("no cluster 'gone'"));
  variables_["KUBECONFIG"] = file("config", "contexts: [{name: a, context: {cluster: c}}]");
  EXPECT_THAT(failure(), HasSubstr("no current-context"));
  variables_["KUBECONFIG"] = file("config", "");
  EXPECT_THAT(failure(), HasSubstr("no current-context"));
}

TEST_F(KubeconfigTest, InvalidEntries) {
  EXPECT_THAT(failure_of("token: t", ""), HasSubstr("cluster 'c' has no server"));
  EXPECT_THAT(failure_of("token: t", "server: one.example"), HasSubstr("not an https:// URL"));
  EXPECT_THAT(failure_of("token: t", "server: https://x, certificate-authority: /nowhere/ca"),
              HasSubstr("certificate-authority is /nowhere/ca, which does not exist"));
  EXPECT_THAT(failure_of("token: t", "server: https://x, certificate-authority-data: '%%%'"),
              HasSubstr("not valid base64"));
  EXPECT_THAT(
      failure_of("token: t", "server: https://x, certificate-authority-data: QQ==, insecure-skip-tls-verify: true"),
      HasSubstr("also insecure-skip-tls-verify"));
  EXPECT_THAT(failure_of("token: t", "server: https://x, insecure-skip-tls-verify: perhaps"),
              HasSubstr("neither true nor false"));
  EXPECT_THAT(failure_of("token: t", "server: https://x, proxy-url: ftp://x"), HasSubstr("proxy-url"));
  EXPECT_THAT(failure_of("client-certificate-data: QQ=="), HasSubstr("has a client-certificate only"));
  EXPECT_THAT(failure_of("client-key-data: QQ=="), HasSubstr("has a client-key only"));
  EXPECT_THAT(failure_of("token: hidden, username: x"),
              AllOf(HasSubstr("both a token and a user name"), Not(HasSubstr("hidden"))));
  EXPECT_THAT(failure_of("token: {a: b}"), HasSubstr("'token' of 'user' of an entry of 'users' is not a string"));
  EXPECT_THAT(failure_of("auth-provider: {name: gcp}"),
              AllOf(HasSubstr("'auth-provider' (gcp)"), HasSubstr("gke-gcloud-auth-plugin")));
  EXPECT_THAT(failure_of("exec: {command: aws, apiVersion: client.authentication.k8s.io/v1alpha1}"),
              AllOf(HasSubstr("v1alpha1"), HasSubstr("aws eks update-kubeconfig")));
  EXPECT_THAT(failure_of("exec: {apiVersion: client.authentication.k8s.io/v1}"), HasSubstr("has no command"));
  EXPECT_THAT(failure_of("exec: {command: x, apiVersion: client.authentication.k8s.io/v1, interactiveMode: Always}"),
              HasSubstr("interactiveMode Always"));
}

TEST_F(KubeconfigTest, InvalidYaml) {
  variables_["KUBECONFIG"] = file("config", "clusters: [\n  {name: x");
  EXPECT_THAT(failure(), AllOf(HasSubstr(home_ + "/config"), HasSubstr("not valid YAML"), HasSubstr("line ")));
  file("config", "just text");
  EXPECT_THAT(failure(), HasSubstr("the file is not a mapping"));
  file("config", "clusters: {name: x}");
  EXPECT_THAT(failure(), HasSubstr("'clusters' of the file is not a list"));
  file("config", "clusters: [{name: x}, {name: x}]");
  EXPECT_THAT(failure(), HasSubstr("two entries 'x' in 'clusters'"));
}

}  // namespace
}  // namespace metaflow::kube
