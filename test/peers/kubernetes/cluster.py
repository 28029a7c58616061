"""Puts the parts together: one cluster."""

import copy

import yaml

from ..containers.images import Images
from ..containers.runtime import Permissions, Runtime
from . import access, defaults, quota, resources, webhooks
from .errors import ApiError, forbidden
from .events import Recorder
from .faults import Faults
from .jobs import JobController
from .kubelet import Kubelet
from .resources import NAMESPACES, PODS, SERVICE_ACCOUNTS
from .scheduling import Node, Scheduler
from .schema import Schema
from .store import Store
from .verbs import Verbs

_DEFAULT_NODE = {"name": "node-1", "capacity": {"cpu": "16", "memory": "64Gi", "ephemeral-storage": "200Gi", "pods": "10000"}}


class Cluster:
    """A store, the controllers that work on it, and who may do what."""

    def __init__(self, directory, scenario, pace, service_port, history=20000):
        self.directory = directory
        self.pace = pace
        self.schema = Schema()
        self.store = Store(resources.ALL, history)
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
        self._denied_log = open(directory / "denied.jsonl", "w", encoding="utf-8")
        self.access = access.Access(self.store, self._denied_log)
        self.faults = Faults()
        for rule in scenario.get("rules", ()):
            self.faults.add(rule)
        self.events = Recorder(self.store)
        self.verbs = Verbs(self.store, self.schema, self._propagate, self._admit)
        self.jobs = JobController(self.store, self.verbs, self.events, pace)
        nodes = [Node(**node) for node in scenario.get("nodes", [_DEFAULT_NODE])]
        self.scheduler = Scheduler(self.store, self.events, self.faults, nodes, pace)
        self.permissions = Permissions(scenario.get("isolated", True))
        self.images = Images(directory, [(entry["image"], entry["root"]) for entry in scenario.get("images", ())])
        self.runtime = Runtime(directory, self.permissions, self.images)
        self.runtime.simulation.update(scenario.get("simulation", {}))
        service = {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(service_port),
            "KUBERNETES_SERVICE_PORT_HTTPS": str(service_port),
        }
        self.kubelet = Kubelet(
            self.store, self.verbs, self.events, self.scheduler, self.runtime, self.permissions, pace, directory, self.images, self.access, service
        )
        for name in ("default", "kube-system", *scenario.get("namespaces", ())):
            self.verbs.prepare_namespace(name)

    def _propagate(self, job, policy):
        return self.jobs.propagate(job, policy)

    def _admit(self, obj):
        """Admission: webhooks have their say; of a pod, the service account must be there, and the quota must allow it."""
        webhooks.admit(self.faults, obj)
        if obj["kind"] == "Pod":
            self._admit_pod(obj)

    def _admit_pod(self, pod):
        metadata = pod["metadata"]
        namespace, account = metadata["namespace"], pod["spec"].get("serviceAccountName", "default")
        if self.store.get(SERVICE_ACCOUNTS, namespace, account) is None:
            # The name of a pod that a job makes is not yet decided when this is looked at.
            name = metadata.get("generateName") or metadata["name"]
            raise forbidden(PODS, name, f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found')
        defaults.admit_pod(pod)
        quota.check_pod(self.store, pod)

    def apply(self, path):
        """Creates what a file of manifests describes."""
        with open(path, encoding="utf-8") as file:
            documents = [document for document in yaml.safe_load_all(file) if document]
        # Namespaces first: the rest is in them.
        for document in sorted(documents, key=lambda d: d["kind"] != "Namespace"):
            resource = resources.BY_KIND[(document["apiVersion"], document["kind"])]
            namespace = document["metadata"].get("namespace", "default") if resource.namespaced else ""
            if namespace:
                self.verbs.prepare_namespace(namespace)
            if resource is NAMESPACES:
                self.verbs.prepare_namespace(document["metadata"]["name"])
                continue
            try:
                self.verbs.create(resource, namespace, copy.deepcopy(document), {}, "kubectl")
            except ApiError as error:
                raise SystemExit(f"{path}: {error.message}") from None
        return documents

    async def close(self):
        for worker in self.kubelet.workers():
            worker.gone()
        await self.runtime.close()
        self._denied_log.close()
