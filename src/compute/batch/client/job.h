// Jobs as AWS Batch describes them: JobDetail and JobSummary of its API.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace metaflow::awsbatch {

using base::Json;

inline constexpr const char* kTitle = "AWS Batch";  // in errors, and for the user

enum class JobStatus : std::uint8_t { submitted, pending, runnable, starting, running, succeeded, failed };
std::string_view name_of(JobStatus status);  // "RUNNABLE"
inline bool has_ended(JobStatus status) { return status == JobStatus::succeeded || status == JobStatus::failed; }

struct Job {
  std::string id{};
  std::string name{};
  JobStatus status = JobStatus::submitted;
  std::string reason{};      // for the status: "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - ..."
  std::int64_t created = 0;  // milliseconds since 1970; 0: not yet
  std::int64_t started = 0;
  std::int64_t stopped = 0;
  std::optional<int> exit_code{};                   // of the container
  std::string container_reason{};                   // "OutOfMemoryError: Container killed due to memory usage"
  std::string log_stream{};                         // in CloudWatch Logs; empty: there was no container
  bool terminated = false;                          // by TerminateJob
  bool cancelled = false;                           // by CancelJob
  std::map<std::string, std::string> parameters{};  // not in summaries; of an array's child, those of the array
  std::size_t size = 0;                             // of an array: its children; else 0
  std::map<JobStatus, std::size_t> children{};      // of an array: how many are in each status; not in summaries

  /// Returns a parameter, empty if there is none of this name.
  std::string parameter(const std::string& parameter_name) const {
    const auto found = parameters.find(parameter_name);
    return found == parameters.end() ? std::string() : found->second;
  }
};

/// Returns the id of an array's child: "0123-4567:8".
std::string child_of(std::string_view array, std::size_t place);
/// Returns the id of a child's array; empty for other jobs.
std::string_view array_of(std::string_view job);
/// Returns a child's index in its array, from 0; 0 for other jobs.
std::size_t place_of(std::string_view job);

/// Parses a job; nothing if the JSON is not a job. Members that are missing or of another type stay empty.
std::optional<Job> job_of(const Json& json);

}  // namespace metaflow::awsbatch
