#include "compute/kubernetes/manifest.h"

#include <gtest/gtest.h>

#include <metaflow/error.h>

namespace metaflow::kube {
namespace {

const JobIdentity kIdentity{"BigSum", "17", "a_step_with_a_long_name", "4", 1, "alice"};

TEST(Manifest, NameDependsOnTheAttempt) {
  const std::string name = job_name(kIdentity, "s3://b/metaflow");
  EXPECT_EQ(name, job_name(kIdentity, "s3://b/metaflow"));
  EXPECT_TRUE(name.starts_with("mf-bigsum-a-step-with-")) << name;
  EXPECT_LE(name.size(), 57U);  // pods add six characters, and 63 is the limit
  EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-"), std::string::npos);
  JobIdentity other = kIdentity;
  other.attempt = 2;
  EXPECT_NE(job_name(other, "s3://b/metaflow"), name);
  EXPECT_NE(job_name(kIdentity, "s3://c/metaflow"), name);
  EXPECT_NE(job_name(kIdentity, "s3://b/metaflow", 1), name);
  EXPECT_TRUE(job_name({"_Ä", "1", "start", "1", 0, ""}, "").starts_with("mf-flow-start-"))
      << "no letter is left of the flow";
}

TEST(Manifest, MinimalJob) {
  const Json job = job_manifest(kIdentity, "mf-x", "k", PodRequest{.image = "debian:12", .time_limit = 100},
                                Delivery{.command = {"/flow", "supervise"}, .architecture = "amd64", .secret = ""},
                                {{"A", "b"}}, 60);
  EXPECT_EQ(job["spec"]["backoffLimit"], 0);
  EXPECT_EQ(job["metadata"]["annotations"]["metaflow/attempt"], "1");
  EXPECT_EQ(job["metadata"]["labels"], job["spec"]["template"]["metadata"]["labels"]);
  const Json& pod = job["spec"]["template"]["spec"];
  EXPECT_EQ(pod["restartPolicy"], "Never");
  EXPECT_EQ(pod["activeDeadlineSeconds"], 100);
  EXPECT_EQ(pod["nodeSelector"]["kubernetes.io/arch"], "amd64");
  EXPECT_FALSE(pod.contains("initContainers"));
  EXPECT_FALSE(pod.contains("volumes"));
  const Json& container = pod["containers"][0];
  EXPECT_EQ(container["command"], (Json{"/flow", "supervise"}));
  EXPECT_EQ(container["env"][0], (Json{{"name", "A"}, {"value", "b"}}));
  EXPECT_EQ(container["resources"].dump(), R"({"requests":{"cpu":"1","memory":"4096M","ephemeral-storage":"10240M"}})");
  EXPECT_FALSE(container.contains("envFrom"));
}

TEST(Manifest, Everything) {
  PodRequest request;
  request.cpu = 0.5;
  request.memory = 60000;
  request.gpu = 2;
  request.image = "registry.corp/base:12";
  request.image_pull_policy = "Always";
  request.image_pull_secrets = {"regcred"};
  request.name_space = "ml";
  request.service_account = "mf";
  request.secrets = {"mysecret"};
  request.node_selector = {{"pool", "big"}};
  request.tolerations = {{.key = "gpu", .op = "Exists", .effect = "NoSchedule", .seconds = 60}};
  request.labels = {{"team", "risk"}};
  request.annotations = {{"note", "x"}};
  request.tmpfs.size = 100;
  request.tmpfs.path = "/metaflow_temp";
  request.persistent_volume_claims = {{"claim", "/data"}};
  request.shared_memory = 64;
  request.port = 29500;
  request.guaranteed = true;
  request.extended_resources = {{"ex.com/x", "1"}};
  request.security_context = {.privileged = false, .run_as_user = 1000};
  Delivery delivery{.command = {"/mf/flow"}, .architecture = "amd64", .secret = "mf-k"};
  delivery.fetcher_image = "curlimages/curl";
  delivery.fetcher_command = {"sh", "-c", "fetch"};
  delivery.fetcher_environment = {{"MF_SHA256", "00"}};
  const Json job = job_manifest(kIdentity, "mf-x", "k", request, delivery, {}, 60);
  EXPECT_EQ(job["metadata"]["namespace"], "ml");
  EXPECT_EQ(job["metadata"]["labels"]["team"], "risk");
  const Json& pod = job["spec"]["template"]["spec"];
  EXPECT_EQ(pod["serviceAccountName"], "mf");
  EXPECT_EQ(pod["imagePullSecrets"][0]["name"], "regcred");
  EXPECT_EQ(pod["tolerations"][0].dump(),
            R"({"key":"gpu","operator":"Exists","effect":"NoSchedule","tolerationSeconds":60})");
  EXPECT_EQ(pod["volumes"].size(), 4U);
  const Json& container = pod["containers"][0];
  EXPECT_EQ(container["volumeMounts"].size(), 4U);
  EXPECT_EQ(container["resources"]["limits"].dump(),
            R"({"cpu":"0.5","memory":"60000M","ephemeral-storage":"10240M","ex.com/x":"1","nvidia.com/gpu":"2"})");
  EXPECT_EQ(container["securityContext"].dump(), R"({"privileged":false,"runAsUser":1000})");
  EXPECT_EQ(container["envFrom"].dump(), R"([{"secretRef":{"name":"mysecret"}}])")
      << "the link is for the fetcher alone";
  EXPECT_EQ(pod["initContainers"][0]["envFrom"].dump(), R"([{"secretRef":{"name":"mf-k"}}])");
}

TEST(Manifest, DollarSignsAreEscaped) {
  PodRequest request{.image = "debian:12", .tmpfs = {100, true, "/$(HOME)"}, .time_limit = 100};
  Delivery delivery{.command = {"/flow", "--tag", "$(SECRET) a$$b"}};
  delivery.environment = {{"MF_DIR", "$$"}};
  delivery.fetcher_image = "curlimages/curl";
  delivery.fetcher_command = {"sh", "-c", "new=$dir/.new.$$"};
  delivery.fetcher_environment = {{"MF_URL", "http://x/$(A)"}};
  const Json job = job_manifest(kIdentity, "mf-x", "k", request, delivery, {{"PASSWORD", "pa$$word$(USER)$"}}, 60);
  const Json& pod = job["spec"]["template"]["spec"];
  const Json& container = pod["containers"][0];
  EXPECT_EQ(container["command"], (Json{"/flow", "--tag", "$$(SECRET) a$$$$b"}));
  const auto value = [&](const Json& of, std::string_view name) {
    for (const Json& variable : of["env"].items()) {
      if (variable["name"].text() == name) return variable["value"].text();
    }
    return std::string();
  };
  EXPECT_EQ(value(container, "MF_DIR"), "$$$$");
  EXPECT_EQ(value(container, "PASSWORD"), "pa$$$$word$$(USER)$$");
  EXPECT_EQ(value(container, "METAFLOW_TEMPDIR"), "/$$(HOME)");
  EXPECT_EQ(container["volumeMounts"][0]["mountPath"], "/$(HOME)") << "Kubernetes replaces nothing here";
  EXPECT_EQ(pod["initContainers"][0]["command"][2], "new=$$dir/.new.$$$$");
  EXPECT_EQ(value(pod["initContainers"][0], "MF_URL"), "http://x/$$(A)");
}

TEST(Manifest, PodSecurityRestricted) {
  PodRequest request{.image = "debian:12", .time_limit = 100};
  request.security_context = {.allow_privilege_escalation = false, .run_as_user = 1000, .run_as_non_root = true};
  const Json job = job_manifest(kIdentity, "mf-x", "k", request, {.command = {"/flow"}}, {}, 60);
  EXPECT_EQ(job["spec"]["template"]["spec"]["containers"][0]["securityContext"].dump(),
            R"({"allowPrivilegeEscalation":false,"runAsUser":1000,"runAsNonRoot":true,)"
            R"("capabilities":{"drop":["ALL"]},"seccompProfile":{"type":"RuntimeDefault"}})");
}

TEST(Manifest, TheFetcherHasRoomForThePackage) {
  Delivery delivery{.command = {"/mf/flow"}, .architecture = "amd64", .secret = "mf-k"};
  delivery.fetcher_image = "curlimages/curl";
  delivery.fetcher_command = {"sh", "-c", "fetch"};
  delivery.package_size = 1'000'000'000;
  PodRequest request{.image = "debian:12", .time_limit = 100};
  auto resources = [&] {
    const Json job = job_manifest(kIdentity, "mf-x", "k", request, delivery, {}, 60);
    return job["spec"]["template"]["spec"]["initContainers"][0]["resources"];
  };
  EXPECT_EQ(resources()["requests"]["ephemeral-storage"], "2000M") << "for the archive and its content";
  EXPECT_EQ(resources()["requests"]["cpu"], "0.1");
  EXPECT_FALSE(resources().contains("limits"));
  request.cpu = 0.02;
  request.memory = 50;
  EXPECT_EQ(resources()["requests"]["cpu"], "0.02") << "the larger of the two is reserved while the pod exists";
  EXPECT_EQ(resources()["requests"]["memory"], "50M");
  request.guaranteed = true;  // then every container of the pod must have limits
  EXPECT_EQ(resources()["limits"], resources()["requests"]);
  EXPECT_EQ(resources()["limits"]["memory"], "2128M");
}

}  // namespace
}  // namespace metaflow::kube
