"""What the tests of the Kubernetes peer share: the official client on it, and waiting by watches."""

import pathlib

from kubernetes import client, config, watch

from .kubernetes.launch import Peer

ROLE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "kubernetes" / "rbac.yaml"


def job_body(name, command, *, image="debian:bookworm-slim", container=None, pod=None, **spec):
    """A job of one container, as a client sends it."""
    main = {"name": "main", "image": image, "command": command, **(container or {})}
    template = {"metadata": {"labels": {"case": name}}, "spec": {"restartPolicy": "Never", "containers": [main], **(pod or {})}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {"case": name}},
        "spec": {"backoffLimit": 0, "template": template, **spec},
    }


class Client:
    """The official client, as one user."""

    def __init__(self, kubeconfig, context=None, namespace="default"):
        self.api = config.new_client_from_config(str(kubeconfig), context=context)
        self.batch = client.BatchV1Api(self.api)
        self.core = client.CoreV1Api(self.api)
        self.namespace = namespace

    def raw(self, obj):
        """An object as the server wrote it."""
        return self.api.sanitize_for_serialization(obj)

    def submit(self, name, command, **more):
        return self.batch.create_namespaced_job(self.namespace, job_body(name, command, **more))

    def _until(self, call, condition, seconds, **query):
        """Follows what a list gives until something of it fulfils a condition."""
        first = call(self.namespace, **query)
        for obj in map(self.raw, first.items):
            if condition("ADDED", obj):
                return obj
        for event in watch.Watch().stream(call, self.namespace, resource_version=first.metadata.resource_version, timeout_seconds=seconds, **query):
            if condition(event["type"], event["raw_object"]):
                return event["raw_object"]
        raise AssertionError(f"nothing fulfilled the condition within {seconds} s: {[self.raw(obj) for obj in call(self.namespace, **query).items]}")

    def job_until(self, name, condition, seconds=30):
        return self._until(self.batch.list_namespaced_job, condition, seconds, field_selector=f"metadata.name={name}")

    def pod_until(self, job, condition, seconds=30):
        return self._until(self.core.list_namespaced_pod, condition, seconds, label_selector=f"job-name={job}")

    def event_until(self, name, reason, seconds=30):
        return self._until(
            self.core.list_namespaced_event, lambda _, event: event["reason"] == reason, seconds, field_selector=f"involvedObject.name={name}"
        )

    def finished(self, name, seconds=30):
        """The job when it is over."""
        return self.job_until(
            name, lambda _, job: any(c["type"] in ("Complete", "Failed") for c in job.get("status", {}).get("conditions", ())), seconds
        )

    def waiting(self, job, reason, seconds=30):
        """The pod when its container waits for that reason."""

        def waits(_, pod):
            return any(s["state"].get("waiting", {}).get("reason") == reason for s in pod["status"].get("containerStatuses", ()))

        return self.pod_until(job, waits, seconds)

    def running(self, job, seconds=30):
        return self.pod_until(job, lambda _, pod: pod["status"].get("phase") == "Running", seconds)

    def job_gone(self, name, seconds=30):
        """Waits until a job is deleted."""
        listed = self.batch.list_namespaced_job(self.namespace, field_selector=f"metadata.name={name}")
        events = watch.Watch().stream(
            self.batch.list_namespaced_job,
            self.namespace,
            field_selector=f"metadata.name={name}",
            resource_version=listed.metadata.resource_version,
            timeout_seconds=seconds,
        )
        return not listed.items or any(event["type"] == "DELETED" for event in events)

    def gone(self, job, seen, seconds=30):
        """The pod as it was last seen when it was deleted. `seen`: as it was before, from when on its changes are followed."""
        query = {"label_selector": f"job-name={job}", "resource_version": seen["metadata"]["resourceVersion"], "timeout_seconds": seconds}
        for event in watch.Watch().stream(self.core.list_namespaced_pod, self.namespace, **query):
            if event["type"] == "DELETED":
                return event["raw_object"]
        raise AssertionError(f"a pod of {job} is not deleted within {seconds} s: {self.pods(job)}")

    def pods(self, job):
        return [self.raw(pod) for pod in self.core.list_namespaced_pod(self.namespace, label_selector=f"job-name={job}").items]

    def log(self, job, **more):
        (pod,) = self.pods(job)
        return self.core.read_namespaced_pod_log(pod["metadata"]["name"], self.namespace, **more)

    def events(self, name):
        """The events about objects whose name begins so: (reason, message)."""
        return [(e.reason, e.message) for e in self.core.list_namespaced_event(self.namespace).items if e.involved_object.name.startswith(name)]


def conditions(obj):
    """(type, status, reason) of the conditions of a status, in their order."""
    return [(c["type"], c["status"], c.get("reason")) for c in obj["status"].get("conditions", ())]


def terminated(pod):
    return pod["status"]["containerStatuses"][0]["state"]["terminated"]


__all__ = ["Client", "Peer", "ROLE", "conditions", "job_body", "terminated"]
