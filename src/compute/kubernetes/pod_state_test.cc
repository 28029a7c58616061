#include "compute/kubernetes/pod_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/json.h"
#include "compute/kubernetes/manifest.h"

namespace metaflow::kube {
namespace {

using testing::HasSubstr;

/// A pod as the API server describes it; `state` is that of the task's container.
Json pod(const char* phase, Json state, Json more = Json::object()) {
  Json status{{"phase", phase}};
  if (!state.is_null()) status.set("containerStatuses", Json::list({{{"name", kContainer}, {"state", state}}}));
  for (const auto& [name, value] : more.members()) status.set(name, value);
  return {{"metadata", {{"name", "p"}}}, {"spec", {{"nodeName", "node-1"}}}, {"status", status}};
}

Json terminated(int code, const char* reason, const char* message = "") {
  return {{"terminated", {{"exitCode", code}, {"reason", reason}, {"message", message}}}};
}

Json waiting(const char* reason, const char* message) {
  return {{"waiting", {{"reason", reason}, {"message", message}}}};
}

Json condition(const char* type, const char* status, const char* reason, const char* message) {
  return {{"conditions", Json::list({{{"type", type}, {"status", status}, {"reason", reason}, {"message", message}}})}};
}

TEST(PodState, Starting) {
  EXPECT_EQ(state_of_pod(pod("Pending", nullptr)).phase, PodPhase::pending);
  const PodState creating = state_of_pod(pod("Pending", waiting("ContainerCreating", "")));
  EXPECT_EQ(creating.waiting, "");
  EXPECT_EQ(creating.starting, "ContainerCreating");
  EXPECT_EQ(creating.node, "node-1");
  EXPECT_EQ(state_of_pod(pod("Running", {{"running", {{"startedAt", "2026-11-22T13:04:54Z"}}}})).phase,
            PodPhase::running);
}

/// With these statuses of init containers.
Json with_init_containers(Json pod, Json statuses) {
  pod.find("status")->set("initContainerStatuses", std::move(statuses));
  return pod;
}

TEST(PodState, ForeignContainerThatWaitsIsReported) {
  auto state = [](Json state_of_proxy) {
    const Json proxy{{"name", "istio-proxy"}, {"state", std::move(state_of_proxy)}};
    const Json fetcher{{"name", kFetcher}, {"state", waiting("PodInitializing", "")}};
    return state_of_pod(
        with_init_containers(pod("Pending", waiting("PodInitializing", "")), Json::list({proxy, fetcher})));
  };
  const PodState no_image = state(waiting("ImagePullBackOff", "Back-off pulling image \"mesh\""));
  EXPECT_EQ(no_image.waiting,
            "its container istio-proxy (not part of the flow): ImagePullBackOff: Back-off pulling image "
            "\"mesh\"");
  EXPECT_TRUE(no_image.hopeless);
  const PodState restarting = state(waiting("CrashLoopBackOff", "back-off 40s restarting failed container"));
  EXPECT_THAT(restarting.waiting, HasSubstr("istio-proxy (not part of the flow): CrashLoopBackOff: back-off"));
  EXPECT_FALSE(restarting.hopeless) << "it is restarted";
  EXPECT_EQ(state(waiting("PodInitializing", "")).waiting, "");
}

TEST(PodState, FailedForeignInitContainerIsNamed) {
  const Json proxy{{"name", "istio-init"}, {"state", terminated(126, "Error", "a\nb\niptables: denied\n")}};
  const PodState state =
      state_of_pod(with_init_containers(pod("Failed", waiting("PodInitializing", "")), Json::list({proxy})));
  EXPECT_EQ(state.phase, PodPhase::ended);
  EXPECT_EQ(state.by, EndedBy::cluster);
  EXPECT_FALSE(state.lost);
  EXPECT_EQ(state.failed_container, "istio-init");
  EXPECT_EQ(
      state.cause,
      "The cluster terminated the pod on node node-1: its init container istio-init (not part of the flow) failed "
      "with exit code 126: b; iptables: denied.");
  // While the kubelet restarts it, the pod has not ended.
  EXPECT_EQ(state_of_pod(with_init_containers(pod("Pending", nullptr), Json::list({proxy}))).phase, PodPhase::pending);
}

TEST(PodState, OtherContainersMayOutliveTheTask) {
  auto with_sidecar = [](const char* phase, Json task, Json sidecar) {
    Json all = pod(phase, std::move(task));
    Json& list = *all.find("status")->find("containerStatuses");
    list.push_back({{"name", "istio-proxy"}, {"state", std::move(sidecar)}});
    return state_of_pod(all);
  };
  const Json running{{"running", {{"startedAt", "2026-11-22T13:04:54Z"}}}};
  EXPECT_TRUE(with_sidecar("Running", terminated(0, "Completed"), running).others_run);
  EXPECT_TRUE(with_sidecar("Running", terminated(0, "Completed"), running).succeeded);
  EXPECT_TRUE(with_sidecar("Running", terminated(3, "Error"), running).others_run);
  EXPECT_FALSE(with_sidecar("Running", running, running).others_run);
  EXPECT_TRUE(with_sidecar("Running", terminated(0, "Completed"), waiting("ImagePullBackOff", "")).others_run);
  EXPECT_FALSE(with_sidecar("Failed", terminated(3, "Error"), terminated(0, "Completed")).others_run);
}

TEST(PodState, DeletedPod) {
  auto deleted = [](Json pod) {
    pod.find("metadata")->set("deletionTimestamp", "2026-11-22T13:04:54Z");
    return state_of_pod(pod);
  };
  const Json fetcher{{"name", kFetcher}, {"state", terminated(137, "Error")}};
  for (const PodState& state :
       {deleted(pod("Failed", nullptr)), deleted(pod("Failed", terminated(143, "Error"))),
        deleted(with_init_containers(pod("Failed", waiting("PodInitializing", "")), Json::list({fetcher})))}) {
    EXPECT_EQ(state.cause, "The pod was deleted externally on node node-1.");
    EXPECT_FALSE(state.lost);
  }
  EXPECT_THAT(state_of_pod(pod("Failed", nullptr)).cause, HasSubstr("no reason given"));
}

TEST(PodState, FetchingThePackage) {
  const Json fetcher{{"name", kFetcher}, {"state", {{"running", Json::object()}}}};
  const Json more{{"initContainerStatuses", Json::list({fetcher})}};
  EXPECT_EQ(state_of_pod(pod("Pending", waiting("PodInitializing", ""), more)).starting,
            "PodInitializing: the flow's package is being fetched");
}

TEST(PodState, PodWithAReasonIsNotStarting) {
  EXPECT_EQ(state_of_pod(pod("Pending", waiting("ErrImagePull", "no"))).starting, "");
  const Json fetcher{{"name", kFetcher}, {"state", waiting("ErrImagePull", "no")}};
  const Json more{{"initContainerStatuses", Json::list({fetcher})}};
  const PodState state = state_of_pod(pod("Pending", waiting("PodInitializing", ""), more));
  EXPECT_EQ(state.starting, "");
  EXPECT_EQ(state.waiting, "ErrImagePull: no");
}

Json warning(const char* reason, const char* message) {
  return {{"involvedObject", {{"name", "mf-a-b-1-xyz"}}},
          {"reason", reason},
          {"message", message},
          {"firstTimestamp", "2026-11-22T13:04:54Z"},
          {"lastTimestamp", "2026-11-22T13:05:54Z"}};
}

TEST(PodWarning, MissingObjectIsHopeless) {
  const PodWarning missing = warning_of(warning(
      "FailedMount", R"(MountVolume.SetUp failed for volume "kube-api-access-x7x2p" : configmap "ca" not found)"));
  EXPECT_EQ(missing.cause, R"(FailedMount: configmap "ca" not found)");
  EXPECT_TRUE(missing.hopeless);
  EXPECT_EQ(missing.time, "2026-11-22T13:05:54Z");
  EXPECT_TRUE(warning_of(warning("FailedMount",
                                 R"(MountVolume.SetUp failed for volume "v" : references non-existent secret key: k)"))
                  .hopeless);
}

TEST(PodWarning, TemporaryWarningIsNotHopeless) {
  const PodWarning warned = warning_of(
      warning("FailedAttachVolume", R"(Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) other)"));
  EXPECT_EQ(warned.cause,
            R"(FailedAttachVolume: Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) other)");
  EXPECT_FALSE(warned.hopeless);
  EXPECT_FALSE(warning_of(warning("FailedCreatePodSandBox", "network not found")).hopeless);
}

TEST(PodWarning, NamesAreRemovedFromMessages) {
  const PodWarning warned = warning_of(warning(
      "FailedCreatePodSandBox",
      R"(sandbox "0123456789abcdef0123456789abcdef" of mf-a-b-1-xyz_n_3f0d3c80-9a1b-4c63-8f2e-0a4b1b0f9d11 failed)"));
  EXPECT_EQ(warned.cause, R"(FailedCreatePodSandBox: sandbox "..." of ... failed)");
}

TEST(PodWarning, InvalidEventsAreAccepted) {
  EXPECT_EQ(warning_of(Json::object()).cause, "");
  EXPECT_EQ(warning_of({{"involvedObject", 1}, {"message", Json::list()}, {"reason", "R"}}).cause, "R");
}

TEST(PodState, UnschedulablePodIsNotHopeless) {
  const PodState state = state_of_pod(
      pod("Pending", nullptr,
          condition("PodScheduled", "False", "Unschedulable", "0/1 nodes are available: 1 Insufficient cpu.")));
  EXPECT_EQ(state.phase, PodPhase::pending);
  EXPECT_EQ(state.waiting, "Unschedulable: 0/1 nodes are available: 1 Insufficient cpu.");
  EXPECT_FALSE(state.hopeless);
}

TEST(PodState, BadImagesAndSecretsAreHopeless) {
  for (const auto& [reason, message] : std::initializer_list<std::pair<const char*, const char*>>{
           {"ImagePullBackOff", "Back-off pulling image \"127.0.0.1:9/no-such:tag\""},
           {"ErrImageNeverPull", "Container image \"no-such:tag\" is not present with pull policy of Never"},
           {"CreateContainerConfigError", "secret \"no-such-secret\" not found"}}) {
    const PodState state = state_of_pod(pod("Pending", waiting(reason, message)));
    EXPECT_EQ(state.phase, PodPhase::pending);
    EXPECT_EQ(state.waiting, std::string(reason) + ": " + message);
    EXPECT_TRUE(state.hopeless);
  }
}

TEST(PodState, ProblemsOfTheFetcherCount) {
  const Json fetcher = {{"initContainerStatuses",
                         Json::list({{{"name", kFetcher}, {"state", waiting("ErrImagePull", "no such host")}}})}};
  const PodState state = state_of_pod(pod("Pending", waiting("PodInitializing", ""), fetcher));
  EXPECT_EQ(state.waiting, "ErrImagePull: no such host");
  EXPECT_TRUE(state.hopeless);
  const Json failed = {{"initContainerStatuses",
                        Json::list({{{"name", kFetcher}, {"state", terminated(97, "Error", "404\nnot found\n")}}})}};
  const PodState ended = state_of_pod(pod("Pending", waiting("PodInitializing", ""), failed));
  EXPECT_EQ(ended.phase, PodPhase::ended);
  EXPECT_EQ(ended.by, EndedBy::bootstrap);
  EXPECT_EQ(ended.cause, "The flow's package could not be fetched (exit code 97): 404; not found");
}

TEST(PodState, Succeeded) {
  EXPECT_TRUE(state_of_pod(pod("Succeeded", terminated(0, "Completed"))).succeeded);
  // Its phase is updated later.
  const PodState early = state_of_pod(pod("Running", terminated(0, "Completed")));
  EXPECT_EQ(early.phase, PodPhase::ended);
  EXPECT_TRUE(early.succeeded);
}

TEST(PodState, ExitCodeAndSignal) {
  const PodState three = state_of_pod(pod("Failed", terminated(3, "Error", "about to fail\n")));
  EXPECT_FALSE(three.succeeded);
  EXPECT_EQ(three.by, EndedBy::task);
  EXPECT_EQ(three.exit_code, 3);
  EXPECT_EQ(three.cause, "Task exited with code 3.");
  EXPECT_EQ(state_of_pod(pod("Failed", terminated(139, "Error"))).cause, "Task was killed by SIGSEGV.");
  EXPECT_EQ(state_of_pod(pod("Failed", terminated(132, "Error"))).cause,
            "Task was killed by SIGILL: was it built for another processor (-march=native)?");
}

TEST(PodState, OutOfMemoryWithAnyExitCode) {
  for (int code : {137, 1, 0}) {
    const PodState state = state_of_pod(pod("Failed", terminated(code, "OOMKilled")));
    EXPECT_EQ(state.by, EndedBy::memory);
    EXPECT_FALSE(state.succeeded);
  }
}

TEST(PodState, NeverStarted) {
  const PodState state =
      state_of_pod(pod("Failed", terminated(128, "StartError", "exec: \"/no/such\": stat /no/such: no such file")));
  EXPECT_EQ(state.by, EndedBy::bootstrap);
  EXPECT_EQ(state.cause, "The container could not be started: exec: \"/no/such\": stat /no/such: no such file");
}

TEST(PodState, EndedByTheCluster) {
  EXPECT_EQ(state_of_pod(pod("Failed", terminated(255, "Unknown"))).by, EndedBy::cluster);
  const PodState evicted =
      state_of_pod(pod("Failed", terminated(143, "Error"),
                       condition("DisruptionTarget", "True", "EvictionByEvictionAPI", "Eviction API: evicting")));
  EXPECT_EQ(evicted.by, EndedBy::cluster);
  EXPECT_EQ(evicted.cause,
            "The cluster terminated the pod on node node-1: EvictionByEvictionAPI: Eviction API: evicting.");
  EXPECT_EQ(state_of_pod(
                pod("Failed", nullptr, {{"reason", "Evicted"}, {"message", "The node was low on resource: memory."}}))
                .by,
            EndedBy::cluster);
  EXPECT_EQ(state_of_pod(pod("Failed", nullptr, {{"reason", "DeadlineExceeded"}})).by, EndedBy::deadline);
}

TEST(PodState, PrefixesOfMessagesAreRemoved) {
  // The wording of kubelet 1.33 with containerd.
  const Json waiting{
      {"reason", "ErrImagePull"},
      {"message",
       "rpc error: code = NotFound desc = failed to pull and unpack image \"r/none:1\": r/none:1: not found"}};
  const PodState state = state_of_pod(pod("Pending", {{"waiting", waiting}}));
  EXPECT_EQ(state.waiting, "ErrImagePull: failed to pull and unpack image \"r/none:1\": r/none:1: not found");
}

/// Messages of a real cluster (1.33).
TEST(PodState, ForbiddenPodsAreHopeless) {
  auto of = [](const char* message) { return why_no_pod({{"reason", "FailedCreate"}, {"message", message}}); };
  EXPECT_FALSE(
      of("Error creating: pods \"mf-a-b-1-x\" is forbidden: exceeded quota: few, requested: pods=1, used: pods=0, "
         "limited: pods=0")
          .hopeless);
  const NoPod policy =
      of("Error creating: pods \"mf-a-b-1-x\" is forbidden: violates PodSecurity \"restricted:latest\": "
         "allowPrivilegeEscalation != false (containers \"package\", \"task\" must set "
         "securityContext.allowPrivilegeEscalation=false)");
  EXPECT_TRUE(policy.hopeless);
  EXPECT_THAT(
      policy.cause,
      testing::StartsWith(
          "The cluster has not created the pod yet: FailedCreate: violates PodSecurity \"restricted:latest\": "));
  EXPECT_TRUE(of("Error creating: pods \"mf-a-b-1-x\" is forbidden: failed quota: lim: must specify limits.cpu for: "
                 "package,task; limits.memory for: package,task")
                  .hopeless);
  EXPECT_TRUE(of("Error creating: pods \"mf-a-b-1-x\" is forbidden: error looking up service account metaflow/missing: "
                 "serviceaccount \"missing\" not found")
                  .hopeless);
  EXPECT_TRUE(of("Error creating: admission webhook \"policy.example.com\" denied the request: no").hopeless);
  EXPECT_EQ(of("Error creating: admission webhook \"p\" denied the request: a\nb").cause,
            "The cluster has not created the pod yet: FailedCreate: Error creating: admission webhook \"p\" denied the "
            "request: "
            "a b");
  EXPECT_FALSE(of("Error creating: Internal error occurred: failed calling webhook \"policy.example.com\"").hopeless);
}

TEST(PodState, InvalidPodsAreAccepted) {
  for (const Json& odd :
       {Json(nullptr), Json(3), Json{{"status", 7}}, Json{{"status", {{"phase", 1}, {"conditions", "x"}}}},
        Json{{"status", {{"containerStatuses", {{"name", 1}}}}}}})
    EXPECT_EQ(state_of_pod(odd).phase, PodPhase::pending);
}

/// Statuses of pods in each case, recorded on a real cluster: recorded_pods.json.
class RecordedPods : public testing::Test {
 protected:
  static PodState of(const char* name) { return state_of_pod(cases().at(name)); }
  static const Json& cases() {
    static const Json all = [] {
      return Json::parse_or_throw(
          base::read_file(METAFLOW_SOURCE_DIR "/src/compute/kubernetes/recorded_pods.json")->text());
    }();
    return all;
  }
};

TEST_F(RecordedPods, Ended) {
  for (const char* name : {"ok", "incluster", "indexed"}) EXPECT_TRUE(of(name).succeeded) << name;
  EXPECT_EQ(of("exit3").cause, "Task exited with code 3.");
  EXPECT_EQ(of("retries").by, EndedBy::task);
  EXPECT_EQ(of("podfailurepolicy").by, EndedBy::task);
  EXPECT_EQ(of("oom").by, EndedBy::memory);
  EXPECT_EQ(of("oom").cause, "Task ran out of memory: the kernel killed it in its container (exit code 137).");
  EXPECT_EQ(of("oomchild").by, EndedBy::memory) << "with exit code 1: a child was killed";
  EXPECT_EQ(of("badcommand").by, EndedBy::bootstrap);
  EXPECT_THAT(of("badcommand").cause, HasSubstr("The container could not be started: "));
  EXPECT_EQ(of("node-rebooted").by, EndedBy::cluster);
  EXPECT_THAT(of("node-rebooted").cause, HasSubstr("its node was restarted or lost"));
  EXPECT_EQ(of("tainted-watch").by, EndedBy::cluster);
  EXPECT_THAT(of("tainted-watch").cause, HasSubstr("DeletionByTaintManager: Taint manager: deleting"));
}

TEST_F(RecordedPods, Running) {
  EXPECT_EQ(of("running").phase, PodPhase::running);
  EXPECT_EQ(of("running").waiting, "");
  EXPECT_EQ(of("evicted-terminating").phase, PodPhase::running) << "it has time to end";
  for (const char* name : {"running-node-notready", "nodelost-notready"}) {
    EXPECT_EQ(of(name).phase, PodPhase::running) << name;
    EXPECT_THAT(of(name).waiting, HasSubstr("does not answer")) << name;
  }
}

TEST_F(RecordedPods, Waiting) {
  EXPECT_THAT(of("unschedulable").waiting,
              testing::StartsWith("Unschedulable: 0/1 nodes are available: 1 Insufficient cpu"));
  EXPECT_FALSE(of("unschedulable").hopeless);
  for (const char* name : {"imagepull", "imageneverpull", "badsecret"}) {
    EXPECT_EQ(of(name).phase, PodPhase::pending) << name;
    EXPECT_TRUE(of(name).hopeless) << name;
  }
  EXPECT_THAT(of("imagepull").waiting, HasSubstr("ImagePull"));
  EXPECT_THAT(of("badsecret").waiting, testing::StartsWith("CreateContainerConfigError: secret \""));
}

}  // namespace
}  // namespace metaflow::kube
