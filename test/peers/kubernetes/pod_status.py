"""The status of a pod, made of the states of its containers, as the kubelet writes it."""

import hashlib
from dataclasses import dataclass, field

from .store import now

PULLING = ("ErrImagePull", "ImagePullBackOff")


@dataclass
class ContainerState:
    """What is known of one container."""

    spec: dict
    waiting: dict = None
    running: dict = None
    terminated: dict = None
    container_id: str = ""
    last: dict = field(default_factory=dict)
    restarts: int = 0

    @property
    def name(self):
        return self.spec["name"]

    def wait(self, reason, message=None):
        self.waiting = {"reason": reason, **({"message": message} if message else {})}
        self.running = self.terminated = None

    def run(self, container_id):
        self.container_id = container_id
        self.running = {"startedAt": now()}
        self.waiting = self.terminated = None

    def end(self, code, reason, message="", started=None, finished=None):
        started = started or (self.running or {}).get("startedAt") or now()
        self.terminated = {
            "exitCode": code,
            "reason": reason,
            **({"message": message} if message else {}),
            "startedAt": started,
            "finishedAt": finished or now(),
        }
        if self.container_id:
            self.terminated["containerID"] = self.container_id
        self.waiting = self.running = None

    def status(self, init):
        state = (
            {"terminated": self.terminated}
            if self.terminated
            else {"running": self.running} if self.running else {"waiting": self.waiting or {"reason": "ContainerCreating"}}
        )
        ran = bool(self.container_id)
        image = self.spec["image"]
        status = {
            "name": self.name,
            "state": state,
            "lastState": self.last,
            "ready": bool(self.terminated and self.terminated["exitCode"] == 0) if init else bool(self.running),
            "restartCount": self.restarts,
            "image": full_image(image) if ran else image,
            "imageID": "sha256:" + hashlib.sha256(image.encode()).hexdigest() if ran else "",
        }
        if ran:
            status["containerID"] = self.container_id
        status["started"] = bool(self.running)
        mounts = self.spec.get("volumeMounts")
        if mounts:
            status["volumeMounts"] = [
                {"name": m["name"], "mountPath": m["mountPath"], **({"readOnly": True, "recursiveReadOnly": "Disabled"} if m.get("readOnly") else {})}
                for m in mounts
            ]
        return status


def full_image(image):
    """The name with the registry and repository that are meant when there is none."""
    first = image.partition("/")[0]
    if "/" not in image:
        return f"docker.io/library/{image}"
    return image if "." in first or ":" in first or first == "localhost" else f"docker.io/{image}"


def _conditions(previous, phase, sandbox, init, containers, node_ready):
    unready = [c.name for c in containers if not c.running]
    incomplete = [c.name for c in init if not (c.terminated and c.terminated["exitCode"] == 0)]
    ended = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase)
    if incomplete and phase != "Succeeded":
        initialized = ("False", "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(incomplete)}]")
    else:
        initialized = ("True", "PodCompleted" if phase == "Succeeded" else None, None)
    if ended:
        ready = ("False", ended, None)
    elif unready:
        ready = ("False", "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")
    else:
        ready = ("True", None, None)
    wanted = {
        "PodReadyToStartContainers": ("True" if sandbox else "False", None, None),
        "Initialized": initialized,
        "Ready": ready if node_ready else ("False", None, None),
        "ContainersReady": ready,
        "PodScheduled": ("True", None, None),
    }
    result = [c for c in previous if c["type"] == "DisruptionTarget"]
    before = {c["type"]: c for c in previous}
    for kind, (status, reason, message) in wanted.items():
        condition = {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": now()}
        if reason:
            condition["reason"] = reason
        if message:
            condition["message"] = message
        if kind in before and before[kind]["status"] == status:
            condition["lastTransitionTime"] = before[kind]["lastTransitionTime"]
        result.append(condition)
    return result


def make(pod, phase, init, containers, *, ip, sandbox, ending=None, reason=None, message=None, node_ready=True):
    """The status of a pod. 'ending' is the phase that it is about to get: what ended says so before the phase does."""
    previous = pod["status"]
    status = {
        "phase": phase,
        "conditions": _conditions(previous.get("conditions", ()), ending or phase, sandbox, init, containers, node_ready),
        "hostIP": "127.0.0.1",
        "hostIPs": [{"ip": "127.0.0.1"}],
        "startTime": previous.get("startTime") or now(),
        "qosClass": previous["qosClass"],
    }
    if ip:
        status["podIP"] = ip
        status["podIPs"] = [{"ip": ip}]
    if reason:
        status["reason"] = reason
    if message:
        status["message"] = message
    if init:
        status["initContainerStatuses"] = [c.status(True) for c in init]
    status["containerStatuses"] = [c.status(False) for c in containers]
    return status
