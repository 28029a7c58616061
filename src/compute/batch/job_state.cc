#include "compute/batch/job_state.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/format.h"
#include "base/text.h"

namespace metaflow::awsbatch {

using compute::EndedBy;
using compute::JobEnd;

namespace {

constexpr const char* kAccess = "Its role needs access: METAFLOW_ECS_S3_ACCESS_IAM_ROLE, or iam_role, names the role.";

std::string sentence(std::string_view text) { return fmt::format("{}{}", text, text.ends_with('.') ? "" : "."); }

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

/// Whether the instance was reclaimed or lost, and the task with it.
bool is_reclaim(const Job& job) {
  return job.reason.starts_with("Host EC2") || has(job.reason, "Spot Task was interrupted") ||
         has(job.reason, "Host terminated") || has(job.container_reason, "Host EC2");
}

/// Whether a failure of the agent is transient.
bool is_transient_failure(std::string_view trouble) {
  constexpr std::array<std::string_view, 8> kTransient{
      "toomanyrequests",        "rate limit",         "i/o timeout",
      "TLS handshake timeout",  "connection reset",   "DockerTimeoutError",
      "ResourceInitialization", "Timeout waiting for"};
  return std::any_of(kTransient.begin(), kTransient.end(), [&](std::string_view words) { return has(trouble, words); });
}

/// Returns the end of a container that never ran: "CannotPullContainerError: ...".
JobEnd never_started(const Job& job) {
  const std::string& trouble = job.container_reason.empty() ? job.reason : job.container_reason;
  JobEnd ending{.by = is_transient_failure(trouble) ? EndedBy::cluster : EndedBy::bootstrap,
                .exit_code = job.exit_code.value_or(-1)};
  if (has(trouble, "exec format error")) {
    ending.cause = "The flow was built for another architecture than that of the machine.";
  } else {
    ending.cause = fmt::format("The container could not be started: {}", sentence(trouble));
  }
  return ending;
}

bool is_start_failure(const Job& job) {
  constexpr std::array<std::string_view, 4> kFailures{"CannotPull", "CannotStart", "CannotCreate",
                                                      "ResourceInitialization"};
  if (job.reason == "Task failed to start") return true;
  return std::any_of(kFailures.begin(), kFailures.end(),
                     [&](std::string_view words) { return job.container_reason.starts_with(words); });
}

}  // namespace

std::string waiting_of(const Job& job) {
  if (has_ended(job.status) || job.status == JobStatus::running || job.reason.empty()) return {};
  return fmt::format("{}: {}", name_of(job.status), job.reason);
}

bool is_hopeless(const Job& job) {
  return job.status == JobStatus::runnable && job.reason.starts_with("MISCONFIGURATION:");
}

JobEnd end_of(const Job& job) {
  if (job.status == JobStatus::succeeded) return {.succeeded = true, .exit_code = 0};
  if (is_reclaim(job)) {
    return {.by = EndedBy::cluster,
            .exit_code = job.exit_code.value_or(-1),
            .cause = fmt::format("AWS terminated the job: {}", sentence(job.reason)),
            .lost = true};
  }
  if (has(job.reason, "attempt duration exceeded timeout"))
    return {.by = EndedBy::deadline,
            .exit_code = job.exit_code.value_or(-1),
            .cause = "The job timed out (attemptDurationSeconds)."};
  if (job.terminated || job.cancelled)
    return {.by = EndedBy::cluster,
            .exit_code = job.exit_code.value_or(-1),
            .cause = fmt::format("The job was terminated externally: {}", sentence(job.reason))};
  if (has(job.container_reason, "OutOfMemory"))
    return {.by = EndedBy::memory,
            .exit_code = job.exit_code.value_or(-1),
            .cause = fmt::format("Task ran out of memory: its container was killed ({}).", job.container_reason)};
  if (is_start_failure(job)) return never_started(job);
  if (job.exit_code == 0)
    // Batch reports FAILED, which overrides the exit code.
    return {.by = EndedBy::cluster, .exit_code = 0, .cause = fmt::format("The job failed: {}", sentence(job.reason))};
  if (job.exit_code) return compute::end_by_exit_status(*job.exit_code, job.container_reason, kAccess);
  return {.by = EndedBy::cluster,
          .cause = job.reason.empty() ? "" : fmt::format("AWS terminated the job: {}", sentence(job.reason))};
}

JobEnd end_of_lost(const std::string& id) {
  return {.by = EndedBy::cluster, .cause = fmt::format("AWS Batch no longer knows the job {}.", id)};
}

}  // namespace metaflow::awsbatch
