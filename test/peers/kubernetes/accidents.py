"""Accidents of pods: evictions, lost nodes, volumes that cannot be attached."""

import math
import signal
import time

from .resources import PODS
from .store import now

_NO_SANDBOX = (
    "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to create containerd task: failed to create shim task: "
    "OCI runtime create failed: runc create failed: unable to start container process: can't get final child's PID from pipe: EOF: unknown"
)
_FAILED_MOUNT = 'MountVolume.SetUp failed for volume "keys" : secret "keys" not found'


class Stopped(Exception):
    """The pod has to end."""


class Accidents:
    """A part of PodWorker."""

    def disrupt(self, reason, message, delete=True):
        """Something takes the pod from its node."""
        pod = self.pod
        if pod is None:
            return
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": now(),
            "reason": reason,
            "message": message,
        }
        conditions = [c for c in pod["status"].get("conditions", ()) if c["type"] != "DisruptionTarget"] + [condition]
        pod = self._kubelet.store.replace(PODS, {**pod, "status": {**pod["status"], "conditions": conditions}})
        if delete:
            self._kubelet.verbs.delete_pod(pod)

    def fail(self, reason, message):
        """Ends the pod for a reason of the node's."""
        self._verdict = {"reason": reason, "message": message}
        self._stop(0)

    def freeze(self):
        """The node is lost: the state of the pod is no longer reported."""
        self.frozen = True
        self._thawed.clear()

    def thaw(self, rebooted):
        self.frozen = False
        if rebooted:
            for state in self.init + self.main:
                if state.running:
                    self._override[state.name] = (255, "Unknown", "")
            for container in self._running.values():
                container.kill(signal.SIGKILL)
        self._thawed.set()
        if self._grace is not None:
            self._stop(self._grace)
        elif rebooted:
            self._stopping.set()

    def kill_container(self, reason="OOMKilled", code=137):
        """Ends the main container as if the machine had done it."""
        for state in self.main:
            if state.name in self._running:
                self._override[state.name] = (code, reason, "")
                self._running[state.name].kill(signal.SIGKILL)

    # As a rule of the scenario says.

    async def _accident_before(self):
        if self.rule is not None and self.rule["action"] in ("never-start", "no-sandbox"):
            if self.rule["action"] == "no-sandbox":
                self._kubelet.event(self.pod, "Warning", "FailedCreatePodSandBox", self.rule.get("message", _NO_SANDBOX))
            await self._stopping.wait()
            raise Stopped
        if self.rule is not None and self.rule["action"] == "failed-mount":
            end = time.monotonic() + self.rule.get("after", math.inf)
            while time.monotonic() < end:
                self._kubelet.event(self.pod, "Warning", "FailedMount", self.rule.get("message", _FAILED_MOUNT))
                await self._sleep(2)

    def _accident_after(self):
        """Plans what happens to a container that runs now."""
        if self.rule is not None:
            self._later(self.rule.get("after", 0), self.accident, self.rule.text)

    def accident(self, rule):
        """Something happens to the pod while it runs."""
        action, message = rule["action"], rule.get("message")
        if action == "oom":
            self.kill_container()
        elif action == "exit":
            self.kill_container("Error", rule.get("exitCode", 1))
        elif action == "evict":
            self.disrupt("EvictionByEvictionAPI", message or "Eviction API: evicting")
        elif action == "preempt":
            self.disrupt("PreemptionByScheduler", message or "default-scheduler: preempting to accommodate a higher priority pod")
        elif action == "node-pressure":
            self._pressure(message)
        elif action == "vanish":
            self._vanish()
        elif action == "node-lost":
            self._kubelet.lose_node(self.node, rule.get("evictAfter", 0))
        elif action == "node-rebooted":
            self._kubelet.lose_node(self.node)
            self._kubelet.recover_node(self.node, rebooted=True)

    def _pressure(self, message):
        text = message or "The node was low on resource: memory. Threshold quantity: 100Mi, available: 80Mi. "
        self.disrupt("TerminationByKubelet", text, delete=False)
        pod = self.pod
        if pod is not None:
            self._kubelet.event(pod, "Warning", "Evicted", text)
            self.fail("Evicted", text)

    def _vanish(self):
        if self.pod is not None:
            self._kubelet.verbs.delete_pod(self.pod, 0)
