// The state of an attempt, from the status of its pod, as Kubernetes 1.32 reports it. The cases were recorded on a real
// cluster.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "compute/remote/job_end.h"

namespace metaflow::kube {

enum class PodPhase : std::uint8_t { pending, running, ended };

using compute::EndedBy;

/// The members of JobEnd are valid when the phase is `ended`.
struct PodState : compute::JobEnd {
  PodPhase phase = PodPhase::pending;
  std::string node{};  // empty: none yet
  /// Why a pod does not start: "Unschedulable: 0/1 nodes are available: ..."; or what is wrong with one that runs.
  /// Empty if nothing is unusual.
  std::string waiting{};
  /// "ContainerCreating": its node prepares it, and reports problems only by events.
  std::string starting{};
  /// The task has ended, but other containers of its pod have not, such as those that a webhook added.
  bool others_run = false;
  /// The pod was deleted, and nothing in it says why; its job may.
  bool deleted = false;
  /// The init container that is not part of the flow, and has ended the pod.
  std::string failed_container{};
  /// Waiting does not help: a bad image, a missing secret. What an autoscaler or a quota may resolve does not count.
  bool hopeless = false;
};

/// `pod`: core/v1 Pod. Members that are missing or of another type are ignored.
PodState state_of_pod(const base::Json& pod);

/// Why a job has no pod yet.
struct NoPod {
  std::string cause;      // "The cluster makes no pod yet: FailedCreate: exceeded quota: ..."
  bool hopeless = false;  // waiting does not help: a quota may become free, but a policy does not change
};

/// `event`: core/v1 Event, a warning about the job.
NoPod why_no_pod(const base::Json& event);

/// Whether a job is suspended, by a queue or manually. Then it has no pod.
bool is_suspended(const base::Json& job);

/// Whether a job is suspended, or was after this time (in the cluster's format; empty: any).
bool was_suspended(const base::Json& job, std::string_view since);

/// Marks a pod as ended by a suspension of its job.
void end_by_suspension(PodState& state);

/// Why a node has not prepared a pod yet.
struct PodWarning {
  std::string cause;      // "FailedMount: secret "keys" not found"
  std::string time;       // last time of the event; the texts compare as times do
  bool hopeless = false;  // waiting does not help: what is mounted does not exist
};

/// `event`: core/v1 Event, a warning about the pod.
PodWarning warning_of(const base::Json& event);

/// Describes the end of a pod that vanished without a status.
std::string cause_of_vanished_pod(std::string_view node);

}  // namespace metaflow::kube
