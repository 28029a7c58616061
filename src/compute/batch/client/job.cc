#include "compute/batch/client/job.h"

#include <array>

#include "base/json.h"

namespace metaflow::awsbatch {

namespace {

using base::text_at;

constexpr std::array<std::string_view, 7> kStatuses{"SUBMITTED", "PENDING",   "RUNNABLE", "STARTING",
                                                    "RUNNING",   "SUCCEEDED", "FAILED"};

std::optional<JobStatus> status_named(std::string_view name) {
  for (std::size_t i = 0; i < kStatuses.size(); ++i) {
    if (kStatuses[i] == name) return static_cast<JobStatus>(i);
  }
  return std::nullopt;
}

const Json& member(const Json& json, const char* name) {
  static const Json kNone;
  if (!json.is_object()) return kNone;
  const auto found = json.find(name);
  return found == json.end() ? kNone : *found;
}

std::int64_t number(const Json& json, const char* name) {
  const Json& value = member(json, name);
  return value.is_number_integer() ? value.get<std::int64_t>() : 0;
}

bool truth(const Json& json, const char* name) {
  const Json& value = member(json, name);
  return value.is_boolean() && value.get<bool>();
}

/// Of the container; where Batch itself tried more than once, that of the last try.
void read_container(const Json& container, Job& job) {
  const Json& code = member(container, "exitCode");
  if (code.is_number_integer()) job.exit_code = code.get<int>();
  if (const std::string reason = text_at(container, {"reason"}); !reason.empty()) job.container_reason = reason;
  if (const std::string stream = text_at(container, {"logStreamName"}); !stream.empty()) job.log_stream = stream;
}

}  // namespace

std::string_view name_of(JobStatus status) { return kStatuses.at(static_cast<std::size_t>(status)); }

std::optional<Job> job_of(const Json& json) {
  const auto status = status_named(text_at(json, {"status"}));
  Job job;
  job.id = text_at(json, {"jobId"});
  if (!status || job.id.empty()) return std::nullopt;
  job.status = *status;
  job.name = text_at(json, {"jobName"});
  job.reason = text_at(json, {"statusReason"});
  job.created = number(json, "createdAt");
  job.started = number(json, "startedAt");
  job.stopped = number(json, "stoppedAt");
  job.terminated = truth(json, "isTerminated");
  job.cancelled = truth(json, "isCancelled");
  read_container(member(json, "container"), job);
  const Json& attempts = member(json, "attempts");
  if (attempts.is_array() && !attempts.empty()) read_container(member(attempts.back(), "container"), job);
  const Json& parameters = member(json, "parameters");
  if (parameters.is_object()) {
    for (const auto& [name, value] : parameters.items()) {
      if (value.is_string()) job.parameters[name] = value.get<std::string>();
    }
  }
  return job;
}

}  // namespace metaflow::awsbatch
