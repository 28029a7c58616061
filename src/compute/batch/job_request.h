// The requests that are sent to AWS Batch. Fields: RegisterJobDefinition and SubmitJob in its API reference.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "compute/batch/batch_request.h"
#include "compute/remote/job_identity.h"

namespace metaflow::awsbatch {

using base::Json;

/// Returns the name of an attempt's job. It begins with job_prefix() of the run, and differs by more than case from
/// that of any other attempt. Unlike Kubernetes, Batch accepts two jobs of one name: BatchApi::submit checks.
std::string job_name(const compute::JobIdentity& identity, std::string_view store, int tries = 0);
/// Returns the prefix of the names of a run's jobs. `run_key`: compute::run_key.
std::string job_prefix(std::string_view run_key);

/// Parameters of a job that identify its attempt.
inline constexpr const char* kFlowParameter = "metaflow.flow_name";
inline constexpr const char* kRunParameter = "metaflow.run_id";
inline constexpr const char* kStepParameter = "metaflow.step_name";
inline constexpr const char* kTaskParameter = "metaflow.task_id";
inline constexpr const char* kAttemptParameter = "metaflow.retry_count";
inline constexpr const char* kUserParameter = "metaflow.user";

/// Returns the definition for all jobs of a step, and of all runs with the same request. Its name is derived from its
/// content, so it is registered once. `machine`: "x86_64", as uname prints it.
Json job_definition(const BatchRequest& request, Machines machines, std::string_view machine);

/// Returns the command that starts the flow: the bootstrap script, which is in the definition because a job may bring
/// only few bytes of its own; or the flow's path, if it is in the image.
std::vector<std::string> job_command(const std::string& flow_in_image, const std::vector<std::string>& arguments);

/// Batch replaces Ref::NAME in a command by the job's parameter of this name, and has no way to escape it. If a word
/// contains it, this encodes all words as in a URL (supervise --percent-encoded yes) and returns true. Nothing else is
/// replaced: ECS passes commands and variables with $(NAME) and $$ to the container unchanged.
bool percent_encode_placeholders(std::vector<std::string>& words);

/// `definition`: its ARN. `size`: 1, or the size of an array; `identity.task` then names all its tasks
/// (StepArray::tasks).
Json job_submission(const compute::JobIdentity& identity, const std::string& name, const BatchRequest& request,
                    const std::string& queue, const std::string& definition, const std::vector<std::string>& command,
                    compute::Variables environment, std::size_t size = 1);

}  // namespace metaflow::awsbatch
