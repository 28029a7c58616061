#include "compute/batch/client/job.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/format.h"
#include "base/json.h"

namespace metaflow::awsbatch {

namespace {

constexpr std::array<std::string_view, 7> kStatuses{"SUBMITTED", "PENDING",   "RUNNABLE", "STARTING",
                                                    "RUNNING",   "SUCCEEDED", "FAILED"};

std::optional<JobStatus> status_named(std::string_view name) {
  for (std::size_t i = 0; i < kStatuses.size(); ++i) {
    if (kStatuses[i] == name) return static_cast<JobStatus>(i);
  }
  return std::nullopt;
}

std::int64_t number(const Json& json, const char* name) { return json[name].integer().value_or(0); }

/// Reads the container. If Batch itself tried more than once, that is the container of the last try.
void read_container(const Json& container, Job& job) {
  if (const auto code = container["exitCode"].integer()) job.exit_code = static_cast<int>(*code);
  if (const std::string& reason = container["reason"].text(); !reason.empty()) job.container_reason = reason;
  if (const std::string& stream = container["logStreamName"].text(); !stream.empty()) job.log_stream = stream;
}

void read_array(const Json& array, Job& job) {
  job.size = static_cast<std::size_t>(std::max<std::int64_t>(0, number(array, "size")));
  for (const auto& [name, count] : array["statusSummary"].members()) {
    const auto status = status_named(name);
    if (status && count.natural().value_or(0) > 0) job.children[*status] = *count.natural();
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
  const auto status = status_named(json["status"].text());
  Job job;
  job.id = json["jobId"].text();
  if (!status || job.id.empty()) return std::nullopt;
  job.status = *status;
  job.name = json["jobName"].text();
  job.reason = json["statusReason"].text();
  job.created = number(json, "createdAt");
  job.started = number(json, "startedAt");
  job.stopped = number(json, "stoppedAt");
  job.terminated = json["isTerminated"].boolean().value_or(false);
  job.cancelled = json["isCancelled"].boolean().value_or(false);
  read_container(json["container"], job);
  if (const auto attempts = json["attempts"].items(); !attempts.empty())
    read_container(attempts.back()["container"], job);
  for (const auto& [name, value] : json["parameters"].members()) {
    if (value.is_text()) job.parameters[name] = value.text();
  }
  read_array(json["arrayProperties"], job);
  return job;
}

}  // namespace metaflow::awsbatch
