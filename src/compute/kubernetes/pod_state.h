// What a pod's status says of the attempt in it. As Kubernetes 1.32 reports; the cases were recorded on a real cluster.
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

/// What it is besides an ending is of one that has not ended.
struct PodState : compute::JobEnd {
  PodPhase phase = PodPhase::pending;
  std::string node{};  // empty: none yet
  /// Of a pod that does not start: why, "Unschedulable: 0/1 nodes are available: ..."; of one that runs: what is wrong.
  /// Empty if all is as usual.
  std::string waiting{};
  /// "ContainerCreating": its node makes it ready, and tells of trouble by events alone.
  std::string starting{};
  /// The task has ended, and other containers of its pod have not: what a webhook has added.
  bool others_run = false;
  /// It was deleted, and nothing in it says why: its job may.
  bool deleted = false;
  /// Of a pod that an init container of others has ended: its name.
  std::string failed_container{};
  /// Waiting does not help: a bad image, a missing secret. What an autoscaler or a quota may cure is not that.
  bool hopeless = false;
};

/// `pod`: core/v1 Pod. Nothing in it is taken for granted: what is missing or of another type is not there.
PodState state_of_pod(const base::Json& pod);

/// Why a job has no pod yet.
struct NoPod {
  std::string cause;      // "The cluster makes no pod yet: FailedCreate: exceeded quota: ..."
  bool hopeless = false;  // waiting does not help: a quota gets free, but what a policy forbids stays forbidden
};

/// `event`: core/v1 Event, a warning about the job.
NoPod why_no_pod(const base::Json& event);

/// Whether a job is suspended: by a queue, or by hand. It has no pod then.
bool is_suspended(const base::Json& job);

/// Whether it is, or was after this time (as the cluster writes it; empty: any).
bool was_suspended(const base::Json& job, std::string_view since);

/// A pod that has ended because of that.
void end_by_suspension(PodState& state);

/// What keeps a node from making a pod ready.
struct PodWarning {
  std::string cause;      // "FailedMount: secret "keys" not found"
  std::string time;       // of the event, when it was told last; texts that compare as times do
  bool hopeless = false;  // waiting does not help: what is mounted does not exist
};

/// `event`: core/v1 Event, a warning about the pod.
PodWarning warning_of(const base::Json& event);

/// The sentence for a pod that is gone and left no status.
std::string cause_of_vanished_pod(std::string_view node);

}  // namespace metaflow::kube
