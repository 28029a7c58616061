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

/// Unlike that of Kubernetes, Batch takes two jobs of one name: BatchApi::submit looks. Differs by more than case from
/// that of any other attempt, and begins with job_prefix() of the run.
std::string job_name(const compute::JobIdentity& identity, std::string_view store, int tries = 0);
/// What the names of a run's jobs begin with. `run_key`: compute::run_key.
std::string job_prefix(std::string_view run_key);

/// What jobs are for, as the parameters of a job tell it.
inline constexpr const char* kFlowParameter = "metaflow.flow_name";
inline constexpr const char* kRunParameter = "metaflow.run_id";
inline constexpr const char* kStepParameter = "metaflow.step_name";
inline constexpr const char* kTaskParameter = "metaflow.task_id";
inline constexpr const char* kAttemptParameter = "metaflow.retry_count";
inline constexpr const char* kUserParameter = "metaflow.user";

/// What is the same for all jobs of a step, and of all runs that ask for the same: its name follows from its content,
/// so it is registered once. `machine`: "x86_64", as uname has it.
Json job_definition(const BatchRequest& request, Machines machines, std::string_view machine);

/// The command that becomes the flow: by the bootstrap script, which is in the definition, since a job may bring few
/// bytes of its own; or, with the flow in the image, by its path.
std::vector<std::string> job_command(const std::string& flow_in_image, const std::vector<std::string>& arguments);

/// Batch replaces Ref::NAME in a command by the job's parameter of this name, and has no way to write it literally.
/// Where a word has that, this encodes all of them as in a URL (supervise --percent-encoded yes), and says true.
/// Nothing else is replaced: ECS hands commands and variables, with $(NAME) and $$, to the container as they are.
bool percent_encode_placeholders(std::vector<std::string>& words);

/// `definition`: its ARN. `size`: 1, or that of an array, whose `identity.task` is all its tasks (StepArray::tasks).
Json job_submission(const compute::JobIdentity& identity, const std::string& name, const BatchRequest& request,
                    const std::string& queue, const std::string& definition, const std::vector<std::string>& command,
                    compute::Variables environment, std::size_t size = 1);

}  // namespace metaflow::awsbatch
