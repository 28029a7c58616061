"""The kubelet: runs the pods that were given to nodes, and tells their status."""

import asyncio
import itertools
import shutil

from ..containers.images import Images
from . import access, fields
from .environment import Resolver
from .pods import PodWorker
from .resources import NODES, PODS

_COMPONENT = "kubelet"


class Kubelet:
    """Has a worker for every pod on every node."""

    def __init__(self, store, verbs, events, scheduler, runtime, permissions, pace, directory, images: Images, accounts: access.Access, service):
        self.store = store
        self.verbs = verbs
        self.scheduler = scheduler
        self.runtime = runtime
        self.permissions = permissions
        self.pace = pace
        self.directory = directory
        self.images = images
        self.service = service
        self.authority = b""
        self._events = events
        self._accounts = accounts
        self._addresses = itertools.count(2)
        self._workers = {}
        self.logs = {}  # of each pod's uid: the logs of its containers by name, the latest last
        self._keep = set()
        store.table(PODS).listeners.append(self._pod_changed)

    def _pod_changed(self, change):
        pod = change.object
        uid = pod["metadata"]["uid"]
        worker = self._workers.get(uid)
        if change.type == "DELETED":
            if worker is not None:
                worker.gone()
            self.logs.pop(uid, None)
        elif worker is not None:
            worker.changed(pod)
        elif pod["spec"].get("nodeName") and pod["status"].get("phase") == "Pending" and "deletionTimestamp" not in pod["metadata"]:
            worker = self._workers[uid] = PodWorker(self, pod)
            task = asyncio.ensure_future(worker.run())
            self._keep.add(task)
            task.add_done_callback(lambda done: self._finished(uid, done))

    def _finished(self, uid, task):
        self._keep.discard(task)
        worker = self._workers.get(uid)
        if not task.cancelled() and task.exception() is not None:
            raise task.exception()
        pod = self.store.get(PODS, *worker.key) if worker else None
        if pod is None or pod["metadata"]["uid"] != uid:
            self.forget(uid)

    def forget(self, uid):
        self._workers.pop(uid, None)
        shutil.rmtree(self.directory / "pods" / uid, ignore_errors=True)

    def worker(self, pod):
        return self._workers.get(pod["metadata"]["uid"])

    def workers(self):
        return list(self._workers.values())

    def workers_on(self, node):
        return [worker for worker in self._workers.values() if worker.node == node]

    # What workers need.

    def current(self, key, uid):
        pod = self.store.get(PODS, *key)
        return pod if pod is not None and pod["metadata"]["uid"] == uid else None

    def write_status(self, pod, status):
        """Puts the status of a pod."""
        if status == {k: v for k, v in pod["status"].items()}:
            return
        metadata = pod["metadata"]
        if not any(entry["manager"] == "kubelet" for entry in metadata.get("managedFields", ())):
            metadata = {**metadata, "managedFields": fields.with_status(pod, "kubelet", fields.POD_STATUS)}
        self.store.replace(PODS, {**pod, "metadata": metadata, "status": status})

    def event(self, pod, kind, reason, message, container=None, init=False):
        path = f"spec.{'initContainers' if init else 'containers'}{{{container}}}" if container else None
        self._events.record(pod, kind, reason, message, _COMPONENT, pod["spec"]["nodeName"], path)

    def address(self):
        number = next(self._addresses)
        return f"10.244.{number // 254 % 254}.{number % 254 + 1}"

    def token(self, pod):
        """A token with which the pod is its service account."""
        return self._accounts.issue(access.service_account(pod["metadata"]["namespace"], pod["spec"]["serviceAccountName"]))

    def resolver(self, pod):
        return Resolver(self.store, pod, self.service)

    # Nodes that break.

    def _show_node(self, node):
        obj = self.store.get(NODES, "", node.name)
        self.store.replace(NODES, {**node.object(), "metadata": obj["metadata"]})

    def lose_node(self, name, evict_after=None):
        """The node does not answer any more. After some time its pods are marked for deletion, although they cannot be stopped."""
        node = self.scheduler.nodes[name]
        node.ready = False
        self._show_node(node)
        for worker in self.workers_on(name):
            worker.freeze()
            pod = worker.pod
            if pod is None:
                continue
            self._events.record(pod, "Warning", "NodeNotReady", "Node is not ready", "node-controller")
            conditions = [
                {**c, "status": "False"} if c["type"] == "Ready" and c["status"] == "True" else c for c in pod["status"].get("conditions", ())
            ]
            self.store.replace(PODS, {**pod, "status": {**pod["status"], "conditions": conditions}})
            if evict_after is not None:
                asyncio.get_running_loop().call_later(evict_after, self._give_up, worker)

    def _give_up(self, worker):
        if worker.frozen and worker.pod is not None:
            self._events.record(
                worker.pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {worker.key[0]}/{worker.key[1]}", "taint-eviction-controller"
            )
            worker.disrupt("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint")

    def recover_node(self, name, rebooted=False):
        """The node is back. After a reboot what ran there has ended."""
        node = self.scheduler.nodes[name]
        node.ready = True
        self._show_node(node)
        for worker in self.workers_on(name):
            worker.thaw(rebooted)
        self.scheduler.plan()
