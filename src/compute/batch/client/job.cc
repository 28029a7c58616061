#include "compute/batch/client/job.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/format.h"
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

void read_array(const Json& array, Job& job) {
  job.size = static_cast<std::size_t>(std::max<std::int64_t>(0, number(array, "size")));
  const Json& counts = member(array, "statusSummary");
  if (!counts.is_object()) return;
  for (const auto& [name, count] : counts.items()) {
    const auto status = status_named(name);
    if (status && count.is_number_integer() && count.get<std::int64_t>() > 0)
      job.children[*status] = count.get<std::size_t>();
  }
}

}  // namespace

std::string child_of(std::string_view array, std::size_t place) { return fmt::format("{}:{}", array, place); }

std::string_view array_of(std::string_view job) {
  const std::size_t colon = job.rfind(':');
  return colon == std::string_view::npos ? std::string_view() : job.substr(0, colon);
}

std::size_t place_of(std::string_view job) {
  const std::size_t colon = job.rfind(':');
  std::size_t place = 0;
  if (colon == std::string_view::npos) return place;
  const std::string_view digits = job.substr(colon + 1);
  std::from_chars(digits.data(), digits.data() + digits.size(), place);
  return place;
}

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
  read_array(member(json, "arrayProperties"), job);
  return job;
}

}  // namespace metaflow::awsbatch
