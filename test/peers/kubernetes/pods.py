"""The life of one pod on its node."""

import asyncio
import pathlib
import shutil
import signal

from ..containers.runtime import StartError
from . import pod_status, quantities
from .accidents import Accidents, Stopped
from .environment import ConfigError
from .logs import LogFile
from .pod_status import ContainerState

_RUNC_FAILED = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process"
)
_INVALID_IMAGE = 'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": invalid reference format'


class PodWorker(Accidents):
    """Starts the containers of a pod, waits for their ends, and ends them when the pod has to go."""

    def __init__(self, kubelet, pod):
        self._kubelet = kubelet
        self.uid = pod["metadata"]["uid"]
        self.key = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        self.node = pod["spec"]["nodeName"]
        self.frozen = False
        self.rule = kubelet.scheduler.accidents.get(self.uid)
        self.init = [ContainerState(spec) for spec in pod["spec"].get("initContainers", ())]
        self.main = [ContainerState(spec) for spec in pod["spec"]["containers"]]
        self._running = {}
        self._ip = None
        self._sandbox = False
        self._phase = "Pending"
        self._verdict = {}  # reason and message of the pod when it did not end by itself
        self._override = {}  # of a container's name: how it ended instead
        self._stopping = asyncio.Event()
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._grace = None
        self._stopper = None
        self._lost = False
        self._volumes = {}
        self._timers = []

    @property
    def pod(self):
        return self._kubelet.current(self.key, self.uid)

    def running(self):
        """The names of its containers that run, with their process ids."""
        return {name: container.pid for name, container in self._running.items()}

    # What comes from outside.

    def changed(self, pod):
        """The pod changed: it may have to end, or sooner than thought."""
        if "deletionTimestamp" in pod["metadata"]:
            grace = pod["metadata"]["deletionGracePeriodSeconds"]
            if self._grace is None or grace < self._grace:
                self._grace = grace
                self._stop(grace)

    def gone(self):
        """The pod is no more in the API."""
        if self._grace != 0:
            self._grace = 0
            self._stop(0)

    def _stop(self, grace):
        if not self.frozen:
            self._stopping.set()
            if self._stopper is not None:
                self._stopper.cancel()
            self._stopper = asyncio.ensure_future(self._end_containers(grace))

    async def _end_containers(self, grace):
        pod = self.pod
        for name, container in list(self._running.items()):
            if pod is not None and grace:
                self._kubelet.event(pod, "Normal", "Killing", f"Stopping container {name}", name)
            if grace:
                container.kill(signal.SIGTERM)
        if grace and self._running:
            await asyncio.wait([container.ended for container in self._running.values()], timeout=grace)
        for container in list(self._running.values()):
            container.kill(signal.SIGKILL)

    # The life.

    async def run(self):
        try:
            await self._live()
        except Stopped:
            pass
        finally:
            for timer in self._timers:
                timer.cancel()
        await self._bury()
        # Volumes of a pod that has ended are taken down, whether the pod is there still or not.
        shutil.rmtree(self._kubelet.directory / "pods" / self.uid, ignore_errors=True)

    async def _sleep(self, seconds):
        """Waits, in the cluster's time; ends early when the pod has to."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds * self._kubelet.pace)
        except asyncio.TimeoutError:
            return
        raise Stopped

    def _write(self, phase=None, ending=None, **more):
        """Tells the status, unless the node is lost."""
        self._phase = phase or self._phase
        pod = self.pod
        if pod is None or self.frozen:
            return
        status = pod_status.make(pod, self._phase, self.init, self.main, ip=self._ip, sandbox=self._sandbox, ending=ending, **more)
        self._kubelet.write_status(pod, status)

    async def _live(self):
        pod = self.pod
        if pod is None or self._grace is not None:
            raise Stopped
        for state in self.init + self.main:
            state.wait("PodInitializing" if self.init else "ContainerCreating")
        self._write()
        self._later(
            pod["spec"].get("activeDeadlineSeconds"), self.fail, "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
        )
        await self._accident_before()
        await self._make_volumes(pod)
        await self._sleep(0.5)
        self._ip = self._kubelet.address()
        self._sandbox = True
        for state in self.init:
            if not await self._run_to_end(state, init=True):
                await self._finish()
                return
        for state in self.main:
            if self.init:
                state.wait("PodInitializing")
        ends = [asyncio.ensure_future(self._run_to_end(state, init=False)) for state in self.main]
        try:
            await asyncio.gather(*ends)
        except Stopped:
            await asyncio.gather(*ends, return_exceptions=True)
            raise
        await self._finish()

    def _later(self, seconds, call, *arguments):
        if seconds is not None:
            self._timers.append(asyncio.get_running_loop().call_later(seconds, call, *arguments))

    async def _make_volumes(self, pod):
        directory = self._kubelet.directory / "pods" / self.uid
        has_token = any("projected" in volume for volume in pod["spec"].get("volumes", ()))
        token = self._kubelet.token(pod) if has_token and not self._simulated() else ""
        if self._simulated():
            return
        while True:
            try:
                self._volumes = self._kubelet.resolver(pod).make_volumes(directory, token, self._kubelet.authority)
                return
            except ConfigError as error:
                self._kubelet.event(pod, "Warning", "FailedMount", str(error))
            await self._sleep(2)

    def _simulated(self):
        return all((self._kubelet.images.find(state.spec["image"]) or {}).get("kind") == "simulated" for state in self.init + self.main)

    async def _run_to_end(self, state, init):
        """Runs a container, and restarts it according to its restart policy. Returns whether it succeeded."""
        policy = self.pod["spec"]["restartPolicy"] if self.pod else "Never"
        while True:
            await self._run_once(state, init)
            if state.name in self._override and self._override[state.name][1] == "Unknown":
                return False
            good = state.terminated["exitCode"] == 0
            if good and (init or policy != "Always") or policy == "Never" or self._verdict:
                return good
            await self._sleep(1)
            state.last = {"terminated": state.terminated}
            message = (
                f"back-off {min(10 * 2**state.restarts, 300)}s restarting failed container={state.name} pod={self.key[1]}_{self.key[0]}({self.uid})"
            )
            if state.restarts:
                self._kubelet.event(
                    self.pod,
                    "Warning",
                    "BackOff",
                    f"Back-off restarting failed container {state.name} in pod {self.key[1]}_{self.key[0]}({self.uid})",
                    state.name,
                    init,
                )
                state.wait("CrashLoopBackOff", message)
                self._write()
                await self._sleep(min(10 * 2 ** (state.restarts - 1), 300))
            state.restarts += 1

    async def _run_once(self, state, init):
        tree = await self._pull(state, init)
        environment = await self._configure(state, init)
        log = self._open_log(state, tree)
        try:
            container = await self._start(state, tree, environment, log)
        except StartError as error:
            text = f"{_RUNC_FAILED}: {error}: unknown"
            state.container_id = f"containerd://{'0' * 63}{state.restarts % 10}"
            state.end(128, "StartError", text, started="1970-01-01T00:00:00Z")
            self._kubelet.event(self.pod, "Warning", "Failed", f"Error: {text}", state.name, init)
            return
        self._running[state.name] = container
        if self._stopping.is_set():
            self._stop(self._grace or 0)
        state.run(f"containerd://{container.id}")
        if self.pod is not None:
            self._kubelet.event(self.pod, "Normal", "Started", f"Started container {state.name}", state.name, init)
        await asyncio.wait([container.ended], timeout=0.5 * self._kubelet.pace)
        self._write("Pending" if init else "Running")
        if not init:
            self._accident_after()
        exited = await container.wait()
        self._running.pop(state.name, None)
        await self._thawed.wait()
        self._note_end(state, container, exited, log)
        container.clean()
        if self._stopping.is_set():
            raise Stopped
        if not init:
            await self._sleep(0.5)
            others = any(other.running or other.waiting for other in self.main)
            if self.pod is not None and not others and self.pod["spec"]["restartPolicy"] == "Never":
                self._write(ending=self._outcome())
            else:
                self._write()

    def _note_end(self, state, container, exited, log):
        if state.name in self._override:
            state.end(*self._override[state.name])
            return
        reason = "OOMKilled" if exited.out_of_memory else "Completed" if exited.code == 0 else "Error"
        message = container.termination_log()
        if not message and exited.code and log is not None and state.spec["terminationMessagePolicy"] == "FallbackToLogsOnError":
            message = log.tail()
        state.end(exited.code, reason, message)

    def _outcome(self):
        states = self.init + self.main
        return "Succeeded" if not self._verdict and all(s.terminated and s.terminated["exitCode"] == 0 for s in states) else "Failed"

    async def _finish(self):
        """All containers ended: after a moment the phase says so."""
        await self._sleep(1)
        self._sandbox = False
        self._write(self._outcome())

    async def _bury(self):
        """Ends what is left; when the pod is deleted, lets it go."""
        await self._thawed.wait()
        if self._stopper is not None:
            await asyncio.wait([self._stopper])
        pod = self.pod
        if pod is None:
            return
        if self._phase not in ("Succeeded", "Failed"):
            for state in self.init + self.main:
                if state.running:
                    state.end(137, "Error")
            self._sandbox = False
            self._write(
                "Failed" if self._verdict or not all(s.terminated and s.terminated["exitCode"] == 0 for s in self.init + self.main) else "Succeeded",
                **self._verdict,
            )
        pod = self.pod
        if pod is not None and "deletionTimestamp" in pod["metadata"] and pod["metadata"]["deletionGracePeriodSeconds"]:
            self._kubelet.verbs.delete_pod(pod, 0)

    # One container.

    def _open_log(self, state, tree):
        if tree["kind"] == "simulated":
            return None
        path = pathlib.Path(self._kubelet.directory, "logs", f"{self.key[0]}_{self.key[1]}_{self.uid}", state.name, f"{state.restarts}.log")
        log = LogFile(path)
        self._kubelet.logs.setdefault(self.uid, {}).setdefault(state.name, []).append(log)
        return log

    async def _configure(self, state, init):
        """The environment of a container; waits while something that it refers to is missing."""
        while True:
            pod = self.pod
            if pod is None or self._stopping.is_set():
                raise Stopped
            try:
                if not init and self.rule is not None and self.rule["action"] == "create-container-error":
                    raise ConfigError(self.rule.get("message", 'secret "removed" not found'))
                environment = self._kubelet.resolver(pod).environment(state.spec)
                self._kubelet.event(pod, "Normal", "Created", f"Created container: {state.name}", state.name, init)
                return environment
            except ConfigError as error:
                state.wait("CreateContainerConfigError", str(error))
                self._kubelet.event(pod, "Warning", "Failed", f"Error: {error}", state.name, init)
                self._write()
            await self._sleep(10)

    async def _start(self, state, tree, environment, log):
        spec, pod = state.spec, self.pod
        if tree["kind"] == "simulated":
            return self._kubelet.runtime.simulate(log)
        security = {**pod["spec"].get("securityContext", {}), **spec.get("securityContext", {})}
        command = self._kubelet.resolver(pod).command(spec, environment)
        if not command:
            raise StartError("no command specified")
        memory = spec["resources"].get("limits", {}).get("memory")
        return await self._kubelet.runtime.start(
            tree,
            {
                "command": command,
                "environment": {"HOSTNAME": self._host_name(pod), **environment},
                "workingDirectory": spec.get("workingDir"),
                "hostName": self._host_name(pod),
                "mounts": [self._mount(mount) for mount in sorted(spec.get("volumeMounts", ()), key=lambda m: m["mountPath"])],
                "terminationMessagePath": spec["terminationMessagePath"],
                "memory": None if memory is None else quantities.amount(memory),
                "user": security.get("runAsUser"),
                "group": security.get("runAsGroup", 0 if security.get("runAsUser") is not None else None),
                "readOnlyRoot": security.get("readOnlyRootFilesystem", False),
            },
            log,
        )

    @staticmethod
    def _host_name(pod):
        return pod["spec"].get("hostname") or pod["metadata"]["name"][:63]

    def _mount(self, mount):
        source = pathlib.Path(self._volumes[mount["name"]])
        if mount.get("subPath"):
            source = source / mount["subPath"]
            if not source.exists():
                source.mkdir(parents=True)
        return {"source": str(source), "path": mount["mountPath"], "readOnly": mount.get("readOnly", False)}

    async def _pull(self, state, init):
        """The tree of an image; waits as long as there is none."""
        image, policy, kubelet = state.spec["image"], state.spec["imagePullPolicy"], self._kubelet
        accident = self.rule["action"] if self.rule is not None and not init else ""
        if accident == "invalid-image" or any(c.isupper() or c.isspace() for c in image.rpartition(":")[0] or image):
            text = _INVALID_IMAGE.format(image=image)
            state.wait("InvalidImageName", text)
            kubelet.event(self.pod, "Warning", "InspectFailed", text, state.name, init)
            kubelet.event(self.pod, "Warning", "Failed", "Error: InvalidImageName", state.name, init)
            self._write()
            await self._stopping.wait()
            raise Stopped
        attempt = 0
        while True:
            tree = None if accident == "image-pull" else kubelet.images.find(image)
            if tree is not None:
                kubelet.event(self.pod, "Normal", "Pulled", f'Container image "{image}" already present on machine', state.name, init)
                return tree
            if policy == "Never":
                text = f'Container image "{image}" is not present with pull policy of Never'
                state.wait("ErrImageNeverPull", text)
                kubelet.event(self.pod, "Warning", "ErrImageNeverPull", text, state.name, init)
                kubelet.event(self.pod, "Warning", "Failed", "Error: ErrImageNeverPull", state.name, init)
                self._write()
                await self._sleep(10)
                continue
            text = self._pull_error(image)
            kubelet.event(self.pod, "Normal", "Pulling", f'Pulling image "{image}"', state.name, init)
            kubelet.event(self.pod, "Warning", "Failed", f'Failed to pull image "{image}": {text}', state.name, init)
            kubelet.event(self.pod, "Warning", "Failed", "Error: ErrImagePull", state.name, init)
            state.wait("ErrImagePull", text)
            self._write()
            await self._sleep(5)
            kubelet.event(self.pod, "Normal", "BackOff", f'Back-off pulling image "{image}"', state.name, init)
            kubelet.event(self.pod, "Warning", "Failed", "Error: ImagePullBackOff", state.name, init)
            state.wait("ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {text}')
            self._write()
            await self._sleep(min(10 * 2**attempt, 300))
            attempt += 1

    def _pull_error(self, image):
        if self.rule is not None and self.rule.get("message"):
            return self.rule["message"]
        full = pod_status.full_image(image)
        reference = f'failed to pull and unpack image "{full}": failed to resolve reference "{full}"'
        registry, _, rest = full.partition("/")
        name, _, tag = rest.partition(":")
        if registry.startswith(("127.0.0.1:", "localhost:")):
            return f'{reference}: failed to do request: Head "http://{registry}/v2/{name}/manifests/{tag or "latest"}": dial tcp {registry}: connect: connection refused'
        return f"rpc error: code = NotFound desc = {reference}: {full}: not found"
