"""What the statuses of jobs and of their pods say."""

from . import defaults
from .store import now


def condition(kind, reason, message, status="True"):
    return {"type": kind, "status": status, "lastProbeTime": now(), "lastTransitionTime": now(), "reason": reason, "message": message}


def find_condition(obj, kind):
    return next((c for c in obj.get("status", {}).get("conditions", ()) if c["type"] == kind and c["status"] == "True"), None)


def is_finished(job):
    return find_condition(job, "Complete") or find_condition(job, "Failed")


def phase(pod):
    return pod["status"].get("phase")


def is_over(pod):
    return phase(pod) in ("Succeeded", "Failed")


def is_terminating(pod):
    return "deletionTimestamp" in pod["metadata"]


def count_pods(status, pods):
    """The numbers of pods in each state."""
    active = [pod for pod in pods if not is_over(pod) and not is_terminating(pod)]
    status["active"] = len(active)
    status["ready"] = sum(1 for pod in active if any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ())))
    status["terminating"] = sum(1 for pod in pods if is_terminating(pod) and not is_over(pod))


def failures_of_index(pod):
    return int(pod["metadata"].get("annotations", {}).get("batch.kubernetes.io/job-index-failure-count", 0))


def is_uncounted_end(job, pod):
    """Whether a pod has ended, or counts as if it had, and was not counted yet."""
    if defaults.TRACKING not in pod["metadata"].get("finalizers", ()):
        return False
    at_once = job["spec"]["podReplacementPolicy"] == "TerminatingOrFailed" or not pod["spec"].get("nodeName")
    return is_over(pod) or is_terminating(pod) and (at_once or pod["metadata"]["deletionGracePeriodSeconds"] == 0)
