#include "compute/kubernetes/pod_state.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "base/utf8.h"
#include "compute/kubernetes/manifest.h"

namespace metaflow::kube {

namespace {

using base::Json;

constexpr int kBySignal = 128;    // exit codes above are signals
constexpr int kStartError = 128;  // of containerd
constexpr std::size_t kMaxMessageLength = 400;

int number(const Json& object, const char* name, int otherwise) {
  return static_cast<int>(object[name].integer().value_or(otherwise));
}

/// Removes prefixes of programs that passed the message on: "rpc error: code = NotFound desc = ".
void drop_wrapping(std::string& message) {
  constexpr std::string_view kWrapping = "rpc error: code = ";
  constexpr std::string_view kMessage = " desc = ";
  for (std::size_t at = message.find(kWrapping); at != std::string::npos; at = message.find(kWrapping, at)) {
    const std::size_t end = message.find(kMessage, at);
    if (end == std::string::npos) return;
    message.erase(at, end + kMessage.size() - at);
  }
}

/// Makes a message of a cluster one line, of limited length.
std::string one_line(std::string message) {
  drop_wrapping(message);
  std::replace(message.begin(), message.end(), '\n', ' ');
  message = base::trim(message);
  if (message.size() > kMaxMessageLength) message = message.substr(0, kMaxMessageLength) + "...";
  return base::replace_invalid_utf8(message);
}

/// Removes what differs between pods, so that equal messages of many pods are reported together.
std::string without_names(std::string_view message, std::string_view pod) {
  auto is_part = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_'; };
  auto is_random = [&](std::string_view word) {
    constexpr std::size_t kMinIdLength = 32;
    const bool is_id = std::all_of(
        word.begin(), word.end(), [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0 || c == '-'; });
    return (is_id && word.size() >= kMinIdLength) || (!pod.empty() && word.find(pod) != word.npos);
  };
  std::string text;
  while (!message.empty()) {
    const auto end = std::find_if_not(message.begin(), message.end(), is_part);
    const std::string_view word = message.substr(0, static_cast<std::size_t>(end - message.begin()));
    if (word.empty()) {
      text += message.front();
      message.remove_prefix(1);
      continue;
    }
    text += is_random(word) ? "..." : word;
    message.remove_prefix(word.size());
  }
  return text;
}

/// Returns the last two lines of a program: the failure, and its consequence.
std::string last_lines(std::string_view message) {
  std::vector<std::string> lines = base::split(base::trim(message), '\n');
  if (lines.size() > 2) lines.erase(lines.begin(), lines.end() - 2);
  return one_line(base::join(lines, "; "));
}

std::string reason_and_message(const Json& object) {
  const std::string message = one_line(object["message"].text());
  const std::string reason = object["reason"].text();
  return message.empty() ? reason : reason.empty() ? message : fmt::format("{}: {}", reason, message);
}

const Json& condition(const Json& status, std::string_view type) {
  static const Json none;
  for (const Json& each : status["conditions"].items()) {
    if (each["type"].text() == type) return each;
  }
  return none;
}

/// The status of the container of this name.
const Json& container(const Json& status, const char* list, std::string_view name) {
  static const Json none;
  for (const Json& each : status[list].items()) {
    if (each["name"].text() == name) return each;
  }
  return none;
}

/// Whether only a change of the flow or of the cluster helps.
bool is_hopeless(std::string_view reason) {
  constexpr std::array kReasons{
      "ErrImagePull",      "ImagePullBackOff",    "InvalidImageName",           "ErrImageNeverPull",
      "ImageInspectError", "RegistryUnavailable", "CreateContainerConfigError", "CreateContainerError",
      "RunContainerError"};
  return std::find(kReasons.begin(), kReasons.end(), reason) != kReasons.end();
}

/// Reads why a container waits, unless it is just being created.
void wait(PodState& state, const Json& waiting) {
  const std::string reason = waiting["reason"].text();
  if (reason.empty()) return;
  if (reason == "ContainerCreating" || reason == "PodInitializing") {
    state.starting = reason;
    return;
  }
  state.waiting = reason_and_message(waiting);
  state.hopeless = is_hopeless(reason);
}

void end_by_cluster(PodState& state, const std::string& what) {
  state.phase = PodPhase::ended;
  state.by = EndedBy::cluster;
  state.lost = true;
  state.cause = state.node.empty() ? fmt::format("The cluster terminated the pod: {}.", what)
                                   : fmt::format("The cluster terminated the pod on node {}: {}.", state.node, what);
}

/// Not counted as a lost node: a deletion is deliberate.
void end_by_deletion(PodState& state) {
  end_by_cluster(state, {});
  state.cause = state.node.empty() ? "The pod was deleted externally."
                                   : fmt::format("The pod was deleted externally on node {}.", state.node);
  state.lost = false;
  state.deleted = true;
}

/// Returns a failed init container that is not part of the flow; null: none.
const Json& failed_init_container(const Json& status) {
  static const Json none;
  for (const Json& each : status["initContainerStatuses"].items()) {
    const Json& terminated = each["state"]["terminated"];
    if (each["name"].text() != kFetcher && terminated.is_object() && number(terminated, "exitCode", 0) != 0)
      return each;
  }
  return none;
}

/// Called for a failure before the task began, so the task is not its cause.
void end_by_init_container(PodState& state, const Json& container) {
  const Json& terminated = container["state"]["terminated"];
  state.failed_container = container["name"].text();
  const std::string said = last_lines(terminated["message"].text());
  end_by_cluster(
      state, fmt::format("its init container {} (not part of the flow) failed with exit code {}{}{}",
                         state.failed_container, number(terminated, "exitCode", -1), said.empty() ? "" : ": ", said));
  state.lost = false;
}

bool others_run(const Json& status) {
  const std::string& phase = status["phase"].text();
  if (phase == "Succeeded" || phase == "Failed") return false;
  for (const Json& each : status["containerStatuses"].items()) {
    if (each["name"].text() != kContainer && !each["state"]["terminated"].is_object()) return true;
  }
  return false;
}

/// Reads what a container that is not part of the flow waits for, while the task waits for it.
void wait_for_others(PodState& state, const Json& status) {
  for (const char* list : {"initContainerStatuses", "containerStatuses"}) {
    for (const Json& each : status[list].items()) {
      const std::string& name = each["name"].text();
      if (!state.waiting.empty() || name == kFetcher || name == kContainer) continue;
      PodState other;
      wait(other, each["state"]["waiting"]);
      if (other.waiting.empty()) continue;
      state.waiting = fmt::format("its container {} (not part of the flow): {}", name, other.waiting);
      state.hopeless = other.hopeless;
    }
  }
}

/// How the container of the task ended.
void end_of_task(PodState& state, const Json& terminated) {
  state.exit_code = number(terminated, "exitCode", -1);
  const std::string reason = terminated["reason"].text();
  if (reason == "OOMKilled") {  // also with exit code 0 or 1: the kernel killed one of its processes
    state.by = EndedBy::memory;
    state.cause =
        fmt::format("Task ran out of memory: the kernel killed it in its container (exit code {}).", state.exit_code);
  } else if (reason == "StartError" || reason == "ContainerCannotRun" || state.exit_code == kStartError) {
    state.by = EndedBy::bootstrap;
    state.cause = fmt::format("The container could not be started: {}", one_line(terminated["message"].text()));
  } else if (reason == "Unknown" || reason == "ContainerStatusUnknown") {
    end_by_cluster(state, "its node was restarted or lost");
  } else if (terminated["message"].text().find("exec format error") != std::string::npos) {
    state.by = EndedBy::bootstrap;
    state.cause = "The flow was built for another architecture than that of the node.";
  } else {
    static_cast<compute::JobEnd&>(state) = compute::end_by_exit_status(
        state.exit_code, last_lines(terminated["message"].text()),
        "Its pod needs access: by METAFLOW_KUBERNETES_SECRETS or METAFLOW_KUBERNETES_SERVICE_ACCOUNT.");
  }
}

}  // namespace

PodState state_of_pod(const Json& pod) {
  PodState state;
  const Json& status = pod["status"];
  state.node = pod["spec"]["nodeName"].text();
  const std::string phase = status["phase"].text();
  const std::string reason = status["reason"].text();

  const Json& task = container(status, "containerStatuses", kContainer)["state"];
  const Json& fetcher = container(status, "initContainerStatuses", kFetcher)["state"];
  const Json& terminated = task["terminated"];
  const Json& fetched = fetcher["terminated"];
  const Json& disruption = condition(status, "DisruptionTarget");
  const Json& other = failed_init_container(status);
  const bool is_deleted = !pod["metadata"]["deletionTimestamp"].text().empty();

  if (reason == "DeadlineExceeded") {
    state.phase = PodPhase::ended;
    state.by = EndedBy::deadline;
    state.cause = "The pod timed out (activeDeadlineSeconds).";
  } else if (terminated.is_object() && terminated["reason"].text() == "Completed" &&
             number(terminated, "exitCode", -1) == 0) {
    // The phase is still Running for about a second.
    state.phase = PodPhase::ended;
    state.succeeded = true;
    state.exit_code = 0;
  } else if (disruption["status"].text() == "True" && (phase == "Failed" || terminated.is_object())) {
    end_by_cluster(state, reason_and_message(disruption));
  } else if (reason == "Evicted" || reason == "Preempting" || reason == "NodeLost" || reason == "Terminated" ||
             reason == "NodeShutdown" || reason == "UnexpectedAdmissionError") {
    end_by_cluster(state, reason_and_message(status));
  } else if (terminated.is_object()) {
    state.phase = PodPhase::ended;
    end_of_task(state, terminated);
    const bool was_killed = state.by == EndedBy::task && state.exit_code > kBySignal && state.exit_code != 255;
    if (was_killed && is_deleted) {
      end_by_deletion(state);
      state.ran = true;
    }
  } else if (is_deleted && number(fetched, "exitCode", 0) > kBySignal) {
    end_by_deletion(state);
  } else if (fetched.is_object() && number(fetched, "exitCode", 0) != 0) {
    state.phase = PodPhase::ended;
    state.by = EndedBy::bootstrap;
    state.exit_code = number(fetched, "exitCode", -1);
    const std::string said = last_lines(fetched["message"].text());
    state.cause = fmt::format("The flow's package could not be fetched (exit code {}): {}", state.exit_code,
                              said.empty() ? fetched["reason"].text() : said);
  } else if (phase == "Failed" && other.is_object()) {
    end_by_init_container(state, other);
  } else if (phase == "Failed") {
    const std::string why = reason_and_message(status);
    end_by_cluster(state, why.empty() ? "no reason given" : why);
    if (why.empty() && is_deleted) end_by_deletion(state);
  } else if (phase == "Succeeded") {
    state.phase = PodPhase::ended;
    state.succeeded = true;
    state.exit_code = 0;
  } else if (task["running"].is_object()) {
    state.phase = PodPhase::running;
    // Its node has not reported for a while. After some minutes, the cluster abandons the node, and the pod with it.
    if (condition(status, "Ready")["status"].text() == "False" &&
        condition(status, "ContainersReady")["status"].text() == "True")
      state.waiting = fmt::format("Node {} does not answer", state.node);
  } else {
    const Json& scheduled = condition(status, "PodScheduled");
    if (scheduled["status"].text() == "False") state.waiting = reason_and_message(scheduled);
    wait(state, fetcher["waiting"]);
    wait(state, task["waiting"]);
    wait_for_others(state, status);
    if (!state.starting.empty() && fetcher["running"].is_object())
      state.starting += ": the flow's package is being fetched";
    if (!state.waiting.empty()) state.starting.clear();
  }
  state.others_run = state.phase == PodPhase::ended && others_run(status);
  return state;
}

bool is_suspended(const Json& job) { return job["spec"]["suspend"].boolean().value_or(false); }

bool was_suspended(const Json& job, std::string_view since) {
  return is_suspended(job) || condition(job["status"], "Suspended")["lastTransitionTime"].text() > since;
}

void end_by_suspension(PodState& state) {
  end_by_cluster(state, "its job was suspended by a queue such as Kueue, or manually");
}

PodWarning warning_of(const Json& event) {
  const std::string message = event["message"].text();
  const std::string reason = event["reason"].text();
  // MountVolume.SetUp failed for volume "kube-api-access-x7x2p" : configmap "kube-root-ca.crt" not found
  constexpr std::string_view kMount = "MountVolume.";
  const std::size_t colon = message.starts_with(kMount) ? message.find("\" : ") : std::string::npos;
  std::string_view words = message;
  if (colon != std::string::npos) words.remove_prefix(colon + 4);
  PodWarning warning;
  const std::string said = one_line(without_names(words, event["involvedObject"]["name"].text()));
  warning.cause = said.empty() ? reason : fmt::format("{}: {}", reason, said);
  warning.hopeless =
      reason == "FailedMount" && (words.ends_with(" not found") || words.find("non-existent ") != words.npos);
  for (const char* name : {"lastTimestamp", "eventTime", "firstTimestamp"}) {
    if (warning.time.empty()) warning.time = event[name].text();
  }
  return warning;
}

NoPod why_no_pod(const Json& event) {
  // The message contains a new name of a pod for each try. Without it, the messages of many jobs are equal.
  std::string message = event["message"].text();
  const std::size_t quote = message.find('"');
  const std::size_t end = quote == std::string::npos ? quote : message.find('"', quote + 1);
  if (end != std::string::npos && message.compare(quote + 1, 3, "mf-") == 0) {
    constexpr std::string_view kForbidden = " is forbidden: ";
    std::string_view rest = std::string_view(message).substr(end + 1);
    if (rest.starts_with(kForbidden)) rest.remove_prefix(kForbidden.size());
    message = std::string(base::trim(rest));
  }
  // What is forbidden (a missing service account, PodSecurity, a LimitRange, a quota that requires limits) or denied by
  // a webhook stays so. A full quota does not.
  const bool forbidden = event["message"].text().find(" is forbidden: ") != std::string::npos;
  const bool denied = message.find(" denied the request") != std::string::npos;
  const bool full = message.find("exceeded quota") != std::string::npos;
  return {fmt::format("The cluster has not created the pod yet: {}: {}", event["reason"].text(), one_line(message)),
          (forbidden && !full) || denied || message.find("service account") != std::string::npos};
}

std::string cause_of_vanished_pod(std::string_view node) {
  return node.empty()
             ? "The pod was deleted externally before it started."
             : fmt::format("The pod vanished from node {}: it was deleted or evicted, or its node was lost.", node);
}

}  // namespace metaflow::kube
