"""The job controller, and the collector of what belonged to a job that is gone."""

import asyncio
import time

from . import defaults, fields
from .errors import ApiError
from .failure_policy import verdict_of
from .indexes import format_indexes, parse_indexes
from .job_status import condition, count_pods, failures_of_index, find_condition, is_finished, is_over, is_terminating, is_uncounted_end, phase
from .resources import JOBS, PODS
from .store import now, seconds_since

_COMPONENT = "job-controller"
_PODS_PER_SYNC = 500


class JobController:
    """Makes the pods that jobs ask for, and tells in the jobs' status what became of them."""

    def __init__(self, store, verbs, events, pace):
        self._store = store
        self._verbs = verbs
        self._events = events
        self._pace = pace
        self._pods = {}  # of each job's uid: the keys of its pods
        self._timers = {}
        self._create_failures = {}
        self._last_failures = {}
        self._duration = {}
        store.table(JOBS).listeners.append(self._job_changed)
        store.table(PODS).listeners.append(self._pod_changed)

    # When to look at a job.

    def _job_changed(self, change):
        uid = change.object["metadata"]["uid"]
        if change.type == "DELETED":
            asyncio.get_running_loop().call_later(0.01 * self._pace, self._collect, uid)
            return
        self._schedule(change.object, 0.005 if change.type == "ADDED" else 0.02)

    def _pod_changed(self, change):
        pod = change.object
        owner = next((o for o in pod["metadata"].get("ownerReferences", ()) if o.get("controller")), None)
        if owner is None:
            return
        key = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        if change.type == "DELETED":
            self._pods.get(owner["uid"], set()).discard(key)
        else:
            self._pods.setdefault(owner["uid"], set()).add(key)
        job = self._store.get(JOBS, pod["metadata"]["namespace"], owner["name"])
        if job is not None and job["metadata"]["uid"] == owner["uid"]:
            if change.type != "ADDED":
                self._schedule(job, 1)
        elif change.type != "DELETED" and not is_terminating(pod):
            asyncio.get_running_loop().call_later(0.01 * self._pace, self._collect, owner["uid"])
        elif change.type != "DELETED" and defaults.TRACKING in pod["metadata"].get("finalizers", ()):
            self._release(pod)

    def _schedule(self, job, seconds):
        """Looks at a job so much later, in the cluster's time, unless that is due sooner anyway."""
        uid, key = job["metadata"]["uid"], (job["metadata"]["namespace"], job["metadata"]["name"])
        # A job of thousands of pods is not looked at for every one of them.
        delay = max(seconds * self._pace, 3 * self._duration.get(uid, 0))
        due = time.monotonic() + delay
        timer = self._timers.get(uid)
        if timer is not None:
            if timer[0] <= due:
                return
            timer[1].cancel()
        self._timers[uid] = (due, asyncio.get_running_loop().call_later(delay, self._run, uid, key))

    def _run(self, uid, key):
        self._timers.pop(uid, None)
        job = self._store.get(JOBS, *key)
        if job is None or job["metadata"]["uid"] != uid:
            self._duration.pop(uid, None)
            return
        started = time.monotonic()
        self._sync(job)
        self._duration[uid] = time.monotonic() - started

    def _pods_of(self, job):
        pods = [self._store.get(PODS, *key) for key in self._pods.get(job["metadata"]["uid"], ())]
        return sorted((pod for pod in pods if pod is not None), key=lambda pod: pod["metadata"]["creationTimestamp"])

    # Ends of jobs.

    def propagate(self, job, policy):
        """Deletes a job as told: what is left of it for now, or nothing when it can go at once."""
        finalizer = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(policy)
        if finalizer is None:
            return None
        metadata = job["metadata"]
        finalizers = [f for f in metadata.get("finalizers", []) if f != finalizer] + [finalizer]
        job = {
            **job,
            "metadata": {
                **metadata,
                "finalizers": finalizers,
                "deletionTimestamp": metadata.get("deletionTimestamp") or now(),
                "deletionGracePeriodSeconds": 0,
            },
        }
        return self._store.replace(JOBS, job)

    def _release(self, pod):
        """Takes the finalizer from a pod whose end is noted."""
        finalizers = [f for f in pod["metadata"].get("finalizers", []) if f != defaults.TRACKING]
        metadata = {k: v for k, v in pod["metadata"].items() if k != "finalizers"}
        if finalizers:
            metadata["finalizers"] = finalizers
        return self._store.replace(PODS, {**pod, "metadata": metadata})

    def _collect(self, uid):
        """Deletes the pods of a job that is gone."""
        for key in list(self._pods.get(uid, ())):
            pod = self._store.get(PODS, *key)
            if pod is not None:
                self._verbs.delete_pod(self._release(pod))
        if not self._pods.get(uid):
            self._pods.pop(uid, None)

    def _sync_deleted(self, job):
        pods = self._pods_of(job)
        finalizers = job["metadata"].get("finalizers", [])
        if "orphan" in finalizers:
            for pod in pods:
                metadata = {k: v for k, v in self._release(pod)["metadata"].items() if k != "ownerReferences"}
                self._pods[job["metadata"]["uid"]].discard((metadata["namespace"], metadata["name"]))
                self._store.replace(PODS, {**pod, "metadata": metadata})
            left = [f for f in finalizers if f != "orphan"]
        else:
            for pod in pods:
                self._verbs.delete_pod(self._release(pod))
            left = [f for f in finalizers if f != "foregroundDeletion" or self._pods.get(job["metadata"]["uid"])]
        if left != finalizers:
            metadata = {k: v for k, v in job["metadata"].items() if k != "finalizers"}
            self._store.replace(JOBS, {**job, "metadata": {**metadata, **({"finalizers": left} if left else {})}})

    def _sync_finished(self, job):
        for pod in self._pods_of(job):
            if defaults.TRACKING in pod["metadata"].get("finalizers", ()):
                self._release(pod)
        ttl = job["spec"].get("ttlSecondsAfterFinished")
        if ttl is not None:
            left = ttl - seconds_since(is_finished(job)["lastTransitionTime"])
            if left > 0:
                self._schedule(job, left / self._pace)
            else:
                self.propagate(job, "Foreground")

    # One look at a job.

    def _write(self, job, status):
        """Puts a status, without what is zero or empty, as the real one leaves it out."""
        status = {k: v for k, v in status.items() if v not in (0, None, [], "") or k in ("ready", "terminating")}
        status.setdefault("uncountedTerminatedPods", {})
        if status == job["status"]:
            return job
        metadata = job["metadata"]
        if not job["status"]:
            metadata = {**metadata, "managedFields": fields.with_status(job, "kube-controller-manager", fields.JOB_STATUS)}
        return self._store.replace(JOBS, {**job, "metadata": metadata, "status": status})

    def _sync(self, job):
        if "deletionTimestamp" in job["metadata"]:
            self._sync_deleted(job)
            return
        if is_finished(job):
            self._sync_finished(job)
            return
        spec, status = job["spec"], dict(job["status"])
        conditions = list(status.get("conditions", ()))
        pods = self._pods_of(job)
        if not spec["suspend"] and "startTime" not in status:
            status["startTime"] = now()
        counted = [pod for pod in pods if is_uncounted_end(job, pod)]
        verdict = self._judge(job, status, pods, counted)
        target = next((c for c in conditions if c["type"] in ("FailureTarget", "SuccessCriteriaMet")), None)
        if target is None and verdict is not None:
            target = condition(*verdict)
            conditions.append(target)
        status["conditions"] = conditions
        if counted or target is not None and target not in job["status"].get("conditions", ()):
            uncounted = {
                "succeeded": [p["metadata"]["uid"] for p in counted if phase(p) == "Succeeded"],
                "failed": [p["metadata"]["uid"] for p in counted if phase(p) != "Succeeded"],
            }
            counted_uids = {pod["metadata"]["uid"] for pod in counted}
            count_pods(status, [pod for pod in pods if pod["metadata"]["uid"] not in counted_uids])
            job = self._write(job, {**status, "uncountedTerminatedPods": {k: v for k, v in uncounted.items() if v}})
        self._count(job, status, counted)
        for pod in counted:
            self._release(pod)
        pods = self._pods_of(job)
        if target is not None:
            pods = self._stop(job, pods)
            count_pods(status, pods)
            if not status["active"] and not status["terminating"]:
                self._finish(job, status, target)
                return
        elif spec["suspend"]:
            self._suspend(job, status, pods)
            pods = self._pods_of(job)
            count_pods(status, pods)
        else:
            self._resume(job, status)
            self._manage(job, status, pods)
            count_pods(status, self._pods_of(job))
        job = self._write(job, status)
        deadline = spec.get("activeDeadlineSeconds")
        if deadline is not None and target is None and "startTime" in status:
            self._schedule(job, max(deadline - seconds_since(status["startTime"]), 0.05) / self._pace)

    def _count(self, job, status, counted):
        """Adds what ended to the numbers of a status."""
        spec = job["spec"]
        indexed = spec["completionMode"] == "Indexed"
        completed = parse_indexes(status.get("completedIndexes", ""))
        failed_indexes = parse_indexes(status.get("failedIndexes", ""))
        for pod in counted:
            index = int(pod["metadata"]["labels"][defaults.INDEX]) if indexed else None
            if phase(pod) == "Succeeded":
                if indexed:
                    completed.add(index)
                else:
                    status["succeeded"] = status.get("succeeded", 0) + 1
                continue
            action = verdict_of(spec, pod)[0]
            if action == "Ignore":
                continue
            status["failed"] = status.get("failed", 0) + 1
            self._last_failures.setdefault(job["metadata"]["uid"], {})[index] = (
                time.monotonic(),
                failures_of_index(pod) + 1 if indexed else status["failed"],
            )
            if "backoffLimitPerIndex" in spec and (action == "FailIndex" or failures_of_index(pod) >= spec["backoffLimitPerIndex"]):
                failed_indexes.add(index)
        if indexed:
            completed = {index for index in completed if index < spec["completions"]}
            status["succeeded"] = len(completed)
            status["completedIndexes"] = format_indexes(completed)
            if "backoffLimitPerIndex" in spec:
                status["failedIndexes"] = format_indexes(failed_indexes)

    def _judge(self, job, status, pods, counted):
        """How the job ends, if it is decided: the condition's type, reason and message."""
        spec = job["spec"]
        for pod in counted:
            if phase(pod) == "Failed":
                action, message = verdict_of(spec, pod)
                if action == "FailJob":
                    return "FailureTarget", "PodFailurePolicy", message
        after = dict(status)
        seen = self._last_failures.get(job["metadata"]["uid"], {})
        kept = dict(seen)
        self._count(job, after, counted)
        self._last_failures[job["metadata"]["uid"]] = kept
        restarts = sum(cs["restartCount"] for pod in pods if not is_over(pod) for cs in pod["status"].get("containerStatuses", ()))
        on_failure = spec["template"]["spec"].get("restartPolicy") == "OnFailure" and restarts >= max(spec["backoffLimit"], 1)
        if after.get("failed", 0) > spec["backoffLimit"] or on_failure:
            return "FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        deadline = spec.get("activeDeadlineSeconds")
        if deadline is not None and not spec["suspend"] and "startTime" in status and seconds_since(status["startTime"]) >= deadline:
            return "FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline"
        failed_indexes = parse_indexes(after.get("failedIndexes", ""))
        if "maxFailedIndexes" in spec and len(failed_indexes) > spec["maxFailedIndexes"]:
            return "FailureTarget", "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes"
        completions, succeeded = spec.get("completions"), after.get("succeeded", 0)
        busy = any(not is_over(pod) and not is_terminating(pod) for pod in pods)
        if completions is None:
            done = succeeded > 0 and not busy
        elif failed_indexes:
            if succeeded + len(failed_indexes) >= completions and not busy:
                return "FailureTarget", "FailedIndexes", "Job has failed indexes"
            done = False
        else:
            done = succeeded >= completions
        return ("SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods") if done else None

    def _stop(self, job, pods):
        """Deletes what still runs of a job whose end is decided."""
        for pod in pods:
            if not is_over(pod) and not is_terminating(pod):
                self._delete_pod(job, pod)
        return self._pods_of(job)

    def _delete_pod(self, job, pod, counted=True):
        """Deletes a pod. One that is no longer wanted, though nothing failed, is not counted among the failed ones."""
        self._verbs.delete_pod(pod if counted else self._release(pod))
        self._events.record(job, "Normal", "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}", _COMPONENT)

    def _finish(self, job, status, target):
        """Everything ended: what was the target is so now."""
        unaccounted = [pod for pod in self._pods_of(job) if is_uncounted_end(job, pod)]
        self._count(job, status, unaccounted)
        succeeded = target["type"] == "SuccessCriteriaMet"
        status["conditions"] = [*status["conditions"], condition("Complete" if succeeded else "Failed", target["reason"], target["message"])]
        if succeeded:
            status["completionTime"] = now()
        job = self._write(job, status)
        if succeeded:
            self._events.record(job, "Normal", "Completed", "Job completed", _COMPONENT)
        else:
            self._events.record(job, "Warning", target["reason"], target["message"], _COMPONENT)
        self._last_failures.pop(job["metadata"]["uid"], None)
        self._sync_finished(job)

    def _set_suspended(self, job, status, suspended):
        wanted = ("True", "JobSuspended", "Job suspended") if suspended else ("False", "JobResumed", "Job resumed")
        conditions = [c for c in status.get("conditions", ()) if c["type"] != "Suspended"]
        status["conditions"] = [*conditions, condition("Suspended", wanted[1], wanted[2], wanted[0])]
        self._events.record(job, "Normal", "Suspended" if suspended else "Resumed", wanted[2], _COMPONENT)

    def _suspend(self, job, status, pods):
        for pod in pods:
            if not is_over(pod) and not is_terminating(pod):
                self._delete_pod(job, pod, counted=False)
        if not find_condition({"status": status}, "Suspended"):
            status.pop("startTime", None)
            self._set_suspended(job, status, True)

    def _resume(self, job, status):
        if find_condition({"status": status}, "Suspended"):
            status["startTime"] = now()
            self._set_suspended(job, status, False)

    # Making pods.

    def _backoff(self, job, index):
        """How long to wait until a failed pod is followed by another: 10 s, then twice as long each time, in the cluster's time."""
        uid = job["metadata"]["uid"]
        when, failures = self._last_failures.get(uid, {}).get(index, (0, 0))
        if not failures:
            return 0
        return min(10 * 2 ** (failures - 1), 360) * self._pace - (time.monotonic() - when)

    def _manage(self, job, status, pods):
        """Makes pods that are missing, deletes those that are too many."""
        spec = job["spec"]
        active = [pod for pod in pods if not is_over(pod) and not is_terminating(pod)]
        occupied = [pod for pod in pods if not is_over(pod)] if spec["podReplacementPolicy"] == "Failed" else active
        if spec["completionMode"] == "Indexed":
            done = parse_indexes(status.get("completedIndexes", "")) | parse_indexes(status.get("failedIndexes", ""))
            busy = {int(pod["metadata"]["labels"][defaults.INDEX]) for pod in occupied}
            # What ended and is not counted yet keeps its index.
            busy |= {
                int(p["metadata"]["labels"][defaults.INDEX]) for p in pods if is_over(p) and defaults.TRACKING in p["metadata"].get("finalizers", ())
            }
            wanted = min(spec["parallelism"], spec["completions"] - len(done))
            free = (index for index in range(spec["completions"]) if index not in done and index not in busy)
        else:
            completions, succeeded = spec.get("completions"), status.get("succeeded", 0)
            wanted = spec["parallelism"] if completions is None else min(spec["parallelism"], completions - succeeded)
            if completions is None and succeeded:
                wanted = min(wanted, len(active))
            free = iter(lambda: None, 0)
        if len(active) > wanted:
            for pod in sorted(active, key=lambda p: (phase(p) == "Running", p["metadata"]["creationTimestamp"]))[: len(active) - wanted]:
                self._delete_pod(job, pod, counted=False)
            return
        missing = min(wanted - len(occupied), _PODS_PER_SYNC)
        if missing < wanted - len(occupied):
            self._schedule(job, 0.02)
        for index in free:
            if missing <= 0:
                return
            missing -= 1
            wait = self._backoff(job, index)
            if wait > 0:
                self._schedule(job, wait / self._pace)
                if index is None:
                    return
                continue
            if not self._create_pod(job, index):
                return

    def _create_pod(self, job, index):
        uid = job["metadata"]["uid"]
        failures = self._create_failures.get(uid, (0, 0))
        if time.monotonic() < failures[1]:
            self._schedule(job, (failures[1] - time.monotonic()) / self._pace + 0.01)
            return False
        failed = self._last_failures.get(uid, {}).get(index, (0, 0))[1] if index is not None else 0
        try:
            pod = self._verbs.create_pod(defaults.pod_of(job, index, failed))
        except ApiError as error:
            self._events.record(job, "Warning", "FailedCreate", f"Error creating: {error.message}", _COMPONENT)
            delay = min(2 ** failures[0], 600)
            self._create_failures[uid] = (failures[0] + 1, time.monotonic() + delay * self._pace)
            self._schedule(job, delay + 0.01)
            return False
        self._create_failures.pop(uid, None)
        self._events.record(job, "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}", _COMPONENT)
        return True
