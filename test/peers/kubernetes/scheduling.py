"""Nodes, and the scheduler that gives pods to them."""

import os
import asyncio

from . import quantities
from .resources import NODES, PODS
from .store import now


# As the kubelet labels its node.
_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


class Node:
    """A machine of the cluster: what it can take, and what it has taken."""

    def __init__(self, name, capacity, labels=None, taints=()):
        self.name = name
        self.capacity = {key: str(value) for key, value in capacity.items()}
        self.allocatable = {key: quantities.amount(value) for key, value in self.capacity.items()}
        self.labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": _ARCHITECTURE, **(labels or {})}
        self.taints = list(taints)
        self.used = {}
        self.ready = True

    def object(self):
        """The node as the API shows it."""
        status = "True" if self.ready else "Unknown"
        condition = {
            "type": "Ready",
            "status": status,
            "lastHeartbeatTime": now(),
            "lastTransitionTime": now(),
            "reason": "KubeletReady" if self.ready else "NodeStatusUnknown",
            "message": "kubelet is posting ready status" if self.ready else "Kubelet stopped posting node status.",
        }
        return {
            "kind": "Node",
            "apiVersion": "v1",
            "metadata": {"name": self.name, "labels": self.labels},
            "spec": {"taints": self.taints} if self.taints else {},
            "status": {
                "capacity": self.capacity,
                "allocatable": self.capacity,
                "conditions": [condition],
                "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                "nodeInfo": {
                    "kubeletVersion": "v1.32.13",
                    "operatingSystem": "linux",
                    "containerRuntimeVersion": "containerd://1.7.27",
                    "architecture": self.labels.get("kubernetes.io/arch", ""),
                },
            },
        }

    def lacks(self, requests):
        """What of these requests does not fit now."""
        return [name for name, value in requests.items() if value and value > self.allocatable.get(name, 0) - self.used.get(name, 0)]

    def take(self, requests, sign=1):
        for name, value in requests.items():
            self.used[name] = self.used.get(name, 0) + sign * value


def _tolerates(tolerations, taint):
    for toleration in tolerations:
        if toleration.get("effect") and toleration["effect"] != taint["effect"]:
            continue
        if toleration.get("operator", "Equal") == "Exists":
            if not toleration.get("key") or toleration["key"] == taint["key"]:
                return True
        elif toleration.get("key") == taint["key"] and toleration.get("value", "") == taint.get("value", ""):
            return True
    return False


class Scheduler:
    """Binds pods to nodes as soon as they fit."""

    def __init__(self, store, events, faults, nodes, pace):
        self._store = store
        self._events = events
        self._faults = faults
        self._pace = pace
        self.nodes = {node.name: node for node in nodes}
        self.accidents = {}  # of each pod's uid: the rule that hits it
        self._waiting = {}
        self._bound = {}
        self._planned = False
        for node in nodes:
            store.create(NODES, node.object())
        store.table(PODS).listeners.append(self._pod_changed)

    def _pod_changed(self, change):
        pod = change.object
        uid = pod["metadata"]["uid"]
        if change.type == "ADDED":
            rule = self._faults.of_pod(pod)
            if rule is not None:
                self.accidents[uid] = rule
            if not pod["spec"].get("nodeName"):
                requests = quantities.requests(pod["spec"])
                requests["pods"] = 1
                self._waiting[uid] = (pod["metadata"]["namespace"], pod["metadata"]["name"], requests, self._shape(pod, requests))
                self.plan()
        elif change.type == "DELETED" or pod["status"].get("phase") in ("Succeeded", "Failed"):
            self._waiting.pop(uid, None)
            node, requests = self._bound.pop(uid, (None, None))
            if node is not None:
                node.take(requests, -1)
                if self._waiting:
                    self.plan()
            if change.type == "DELETED":
                self.accidents.pop(uid, None)

    @staticmethod
    def _shape(pod, requests):
        """Pods of the same shape fit or do not fit together."""
        spec = pod["spec"]
        return (tuple(sorted(requests.items())), str(spec.get("nodeSelector")), str(spec.get("tolerations")))

    def plan(self):
        """Looks for nodes soon."""
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_later(0.005 * self._pace, self._run)

    def _run(self):
        self._planned = False
        refused = {}
        for uid, (namespace, name, requests, shape) in list(self._waiting.items()):
            pod = self._store.get(PODS, namespace, name)
            if pod is None or pod["metadata"]["uid"] != uid:
                self._waiting.pop(uid, None)
                continue
            rule = self.accidents.get(uid)
            stuck = rule is not None and rule["action"] == "unschedulable"
            if stuck:
                message = rule.get("message") or self._refusal(requests, pod)[1]
            else:
                if shape not in refused:
                    refused[shape] = self._refusal(requests, pod)
                node, message = refused[shape]
                if node is not None:
                    self._bind(pod, node, requests)
                    # The next one of that shape may not fit any more.
                    del refused[shape]
                    continue
            self._refuse(pod, message)

    def _refusal(self, requests, pod):
        """A node that takes the pod, or why there is none, as the real scheduler words it."""
        reasons, helpless = {}, 0
        spec = pod["spec"]
        for node in self.nodes.values():
            taint = next(
                (t for t in self._all_taints(node) if t["effect"] != "PreferNoSchedule" and not _tolerates(spec.get("tolerations", ()), t)), None
            )
            if taint is not None:
                # A node that is not ready is tolerated for a while by what runs there, and yet takes nothing new.
                found = [f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"]
                helpless += 1
            elif any(node.labels.get(key) != value for key, value in spec.get("nodeSelector", {}).items()):
                found = ["node(s) didn't match Pod's node affinity/selector"]
                helpless += 1
            else:
                found = ["Too many pods" if name == "pods" else f"Insufficient {name}" for name in node.lacks(requests)]
                if not found:
                    return node, ""
            for reason in found:
                reasons[reason] = reasons.get(reason, 0) + 1
        total = len(self.nodes)
        texts = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
        victims = ", ".join(
            ([f"{total - helpless} No preemption victims found for incoming pod"] if helpless < total else [])
            + ([f"{helpless} Preemption is not helpful for scheduling"] if helpless else [])
        )
        return None, f"0/{total} nodes are available: {texts}. preemption: 0/{total} nodes are available: {victims}."

    @staticmethod
    def _all_taints(node):
        return node.taints + ([] if node.ready else [{"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}])

    def _bind(self, pod, node, requests):
        uid = pod["metadata"]["uid"]
        self._waiting.pop(uid)
        node.take(requests)
        self._bound[uid] = (node, requests)
        self._put_condition(pod, {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now()}, node.name)
        self._events.record(
            pod,
            "Normal",
            "Scheduled",
            f"Successfully assigned {pod['metadata']['namespace']}/{pod['metadata']['name']} to {node.name}",
            "default-scheduler",
        )

    def _refuse(self, pod, message):
        previous = next((c for c in pod["status"].get("conditions", ()) if c["type"] == "PodScheduled"), {})
        if previous.get("message") == message:
            return
        since = previous.get("lastTransitionTime") or now()
        self._put_condition(
            pod,
            {
                "type": "PodScheduled",
                "status": "False",
                "lastProbeTime": None,
                "lastTransitionTime": since,
                "reason": "Unschedulable",
                "message": message,
            },
        )
        self._events.record(pod, "Warning", "FailedScheduling", message, "default-scheduler")

    def _put_condition(self, pod, condition, node=None):
        conditions = [c for c in pod["status"].get("conditions", ()) if c["type"] != condition["type"]] + [condition]
        spec = {**pod["spec"], "nodeName": node} if node else pod["spec"]
        self._store.replace(PODS, {**pod, "spec": spec, "status": {**pod["status"], "conditions": conditions}})
