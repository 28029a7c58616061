"""A real Kubernetes of one node on this machine: etcd, API server, controller manager, scheduler, kubelet, containerd. Everything is below one directory.

usage: kubernetes_cluster.py up|down DIRECTORY       dev/real-kubernetes makes what it needs: DIRECTORY/bin and DIRECTORY/img
"""

import base64
import contextlib
import hashlib
import http.server
import io
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from peers.containers import busybox  # noqa: E402

BRIDGE, ADDRESS = "mfkube0", "10.88.0.1"
NODE = "node-1"
PYTHON = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
REGISTRY_PORT = 5055
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"

CONTAINERD = """version = 2
root = "{d}/containerd"
state = "{d}/run/containerd"
oom_score = 0
[grpc]
  address = "{d}/run/containerd.sock"
[ttrpc]
  address = "{d}/run/containerd.sock.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{d}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/local/pause:1"
  max_container_log_line_size = 16384
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{d}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]
    endpoint = ["http://{a}:{registry}"]
  [plugins."io.containerd.grpc.v1.cri".registry.mirrors."{a}:{registry}"]
    endpoint = ["http://{a}:{registry}"]
"""

NETWORK = {
    "cniVersion": "0.4.0",
    "name": "mfkube",
    "plugins": [
        {
            "type": "bridge",
            "bridge": BRIDGE,
            "isGateway": False,
            "ipMasq": False,
            "ipam": {"type": "host-local", "dataDir": "{d}/ipam", "routes": [{"dst": "0.0.0.0/0", "gw": ADDRESS}],
                     "ranges": [[{"subnet": "10.88.0.0/16", "rangeStart": "10.88.4.1", "rangeEnd": "10.88.7.250", "gateway": ADDRESS}]]},
        }
    ],
}  # fmt: skip

KUBELET = """apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://{d}/run/containerd.sock
address: {a}
healthzBindAddress: 127.0.0.1
authentication: {{anonymous: {{enabled: false}}, webhook: {{enabled: true}}, x509: {{clientCAFile: {d}/pki/ca.crt}}}}
authorization: {{mode: Webhook}}
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failSwapOn: false
failCgroupV1: false
maxPods: 250
oomScoreAdj: 0
evictionHard: {{memory.available: 100Mi, nodefs.available: 1Gi, imagefs.available: 1Gi}}
makeIPTablesUtilChains: false
podLogsDir: {d}/pod-logs
volumePluginDir: {d}/volume-plugins
resolvConf: /etc/resolv.conf
clusterDomain: cluster.local
registryPullQPS: 100
registryBurst: 200
kubeAPIQPS: 200
kubeAPIBurst: 400
syncFrequency: 10s
nodeStatusUpdateFrequency: 5s
"""

AUDIT = """apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
"""


def run(*command, **more):
    done = subprocess.run([*map(str, command)], env={**os.environ, "PATH": PATH}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    assert done.returncode == 0, f"{command}: {done.stdout}"
    return done.stdout


def wait_for(what, holds, seconds=900):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what}: it does not happen in {seconds} s"
        time.sleep(0.2)


class Cluster:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory).resolve()
        self.pki, self.logs, self.config = self.directory / "pki", self.directory / "log", self.directory / "config"
        self.url = f"https://{ADDRESS}"
        self.containerd_socket = self.directory / "run" / "containerd.sock"

    # --- certificates

    def certificate(self, name, subject, names=""):
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", subject]
        command += ["-keyout", self.pki / f"{name}.key", "-out", self.pki / f"{name}.crt"]
        if name != "ca":
            command += ["-CA", self.pki / "ca.crt", "-CAkey", self.pki / "ca.key", "-addext", "basicConstraints=critical,CA:FALSE"]
        if names:
            command += ["-addext", f"subjectAltName={names}"]
        run(*command)

    def kubeconfig(self, name, user):
        def data(path):
            return base64.b64encode(path.read_bytes()).decode()

        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": self.url, "certificate-authority-data": data(self.pki / "ca.crt")}}],
            "users": [{"name": "u", "user": user or {"client-certificate-data": data(self.pki / f"{name}.crt"), "client-key-data": data(self.pki / f"{name}.key")}}],
        }
        path = self.config / f"{name}.kubeconfig"
        path.write_text(json.dumps(content, indent=1))
        return path

    # --- programs

    def start(self, name):
        """Starts one of the programs (again), unless it runs."""
        if self.pid(name) is not None:
            return
        with open(self.logs / f"{name}.log", "ab") as log:
            process = subprocess.Popen([*map(str, self.commands()[name])], env={**os.environ, "PATH": PATH}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        (self.directory / "run" / f"{name}.pid").write_text(str(process.pid))

    def pid(self, name):
        path = self.directory / "run" / f"{name}.pid"
        with contextlib.suppress(OSError, ValueError):
            pid = int(path.read_text())
            if str(self.directory).encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        return None

    def stop(self, name, sig=signal.SIGTERM):
        pid = self.pid(name)
        if pid is None:
            return
        os.kill(pid, sig)
        end = time.monotonic() + 20
        while self.pid(name) is not None:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def commands(self):
        d, pki = self.directory, self.pki
        api = [d / "bin/kube-apiserver", "--etcd-servers=http://127.0.0.1:23790", "--bind-address", ADDRESS, "--secure-port=443", "--advertise-address", ADDRESS]
        api += ["--service-cluster-ip-range=10.88.0.0/24", "--authorization-mode=Node,RBAC", "--client-ca-file", pki / "ca.crt"]
        api += ["--tls-cert-file", pki / "api.crt", "--tls-private-key-file", pki / "api.key", "--enable-admission-plugins=NodeRestriction"]
        api += ["--kubelet-client-certificate", pki / "admin.crt", "--kubelet-client-key", pki / "admin.key", "--kubelet-preferred-address-types=InternalIP"]
        api += ["--service-account-issuer=https://kubernetes.default.svc.cluster.local", "--service-account-key-file", pki / "accounts.key"]
        api += ["--service-account-signing-key-file", pki / "accounts.key", "--audit-policy-file", self.config / "audit.yaml"]
        api += ["--audit-log-path", self.logs / "audit.json", "--allow-privileged=true", "--cert-dir", d / "run/api", "--profiling=false"]
        manager = [d / "bin/kube-controller-manager", "--kubeconfig", self.config / "kube-controller-manager.kubeconfig", "--leader-elect=false"]
        manager += ["--service-account-private-key-file", pki / "accounts.key", "--root-ca-file", pki / "ca.crt", "--use-service-account-credentials=true"]
        manager += ["--bind-address=127.0.0.1", "--secure-port=0"]
        scheduler = [d / "bin/kube-scheduler", "--kubeconfig", self.config / "kube-scheduler.kubeconfig", "--leader-elect=false", "--bind-address=127.0.0.1", "--secure-port=0"]
        kubelet = [d / "bin/kubelet", "--config", self.config / "kubelet.yaml", "--kubeconfig", self.config / "kubelet.kubeconfig", "--root-dir", d / "kubelet"]
        kubelet += ["--cert-dir", d / "kubelet/pki", "--hostname-override", NODE, "--node-ip", ADDRESS]
        etcd = [d / "bin/etcd", "--data-dir", d / "etcd", "--listen-client-urls=http://127.0.0.1:23790", "--advertise-client-urls=http://127.0.0.1:23790"]
        etcd += ["--listen-peer-urls=http://127.0.0.1:23800", "--initial-advertise-peer-urls=http://127.0.0.1:23800", "--initial-cluster=default=http://127.0.0.1:23800"]
        etcd += ["--unsafe-no-fsync"]
        return {
            "etcd": etcd,
            "kube-apiserver": api,
            "kube-controller-manager": manager,
            "kube-scheduler": scheduler,
            "containerd": ["containerd", "--config", self.config / "containerd.toml"],
            "registry": [sys.executable, __file__, "registry", d],
            "kubelet": kubelet,
        }

    def kubectl(self, *arguments, **more):
        return run("kubectl", "--kubeconfig", self.config / "admin.kubeconfig", *arguments, **more)

    def ready(self):
        command = ["kubectl", "--kubeconfig", str(self.config / "admin.kubeconfig"), "get", "--raw", "/readyz"]
        return subprocess.run(command, capture_output=True).returncode == 0

    def up(self):
        for path in (self.pki, self.logs, self.config, *(self.directory / name for name in ("cni", "kubelet", "pod-logs", "run", "volume-plugins"))):
            path.mkdir(parents=True, exist_ok=True)
        values = {"d": self.directory, "a": ADDRESS, "registry": REGISTRY_PORT}
        (self.config / "containerd.toml").write_text(CONTAINERD.format(**values))
        (self.config / "kubelet.yaml").write_text(KUBELET.format(**values))
        (self.config / "audit.yaml").write_text(AUDIT)
        (self.directory / "cni" / "10-bridge.conflist").write_text(json.dumps(NETWORK).replace("{d}", str(self.directory)))
        if not (self.pki / "node.crt").exists():
            self.certificate("ca", "/CN=real-kubernetes")
            self.certificate("api", "/CN=kube-apiserver", f"IP:{ADDRESS},IP:127.0.0.1,DNS:kubernetes.default.svc,DNS:kubernetes")
            self.certificate("admin", "/O=system:masters/CN=admin")
            self.certificate("kube-controller-manager", "/CN=system:kube-controller-manager")
            self.certificate("kube-scheduler", "/CN=system:kube-scheduler")
            self.certificate("kubelet", f"/O=system:nodes/CN=system:node:{NODE}")
            self.certificate("node", "/CN=unused")
            run("openssl", "genrsa", "-out", self.pki / "accounts.key", "2048")
        for name in ("admin", "kube-controller-manager", "kube-scheduler", "kubelet"):
            self.kubeconfig(name, None)
        if not pathlib.Path(f"/sys/class/net/{BRIDGE}").exists():
            # With an address of its own: else it has one of its ports', another one whenever pods come and go.
            run("ip", "link", "add", BRIDGE, "address", "02:58:00:00:00:01", "type", "bridge")
            run("ip", "address", "add", f"{ADDRESS}/16", "dev", BRIDGE)
            run("ip", "link", "set", BRIDGE, "up")
        for name in ("containerd", "registry", "etcd"):
            self.start(name)
        wait_for("containerd", self.containerd_socket.exists)
        self.import_images()
        self.start("kube-apiserver")
        wait_for("API server", self.ready)
        for name in ("kube-controller-manager", "kube-scheduler", "kubelet"):
            self.start(name)
        wait_for("node", lambda: '"Ready","status":"True"' in self.node_conditions())

    def node_conditions(self):
        command = ["kubectl", "--kubeconfig", str(self.config / "admin.kubeconfig"), "get", "node", NODE, "-o", "json"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            return ""
        return ",".join(f'"{c["type"]}","status":"{c["status"]}"' for c in json.loads(done.stdout)["status"]["conditions"])

    # --- images

    def ctr(self, *arguments, **more):
        return run("ctr", "-a", self.containerd_socket, "-n", "k8s.io", *arguments, **more)

    def import_images(self):
        there = self.ctr("images", "ls", "-q").split()
        tree = self.directory / "run" / "busybox.tar"
        tree.write_bytes(busybox.archive(PATH))
        images = {
            "docker.io/local/pause:1": (tree, {"Entrypoint": ["/bin/sleep", "1000000000"]}),
            "docker.io/library/busybox:1": (tree, {"Cmd": ["sh"]}),
            "docker.io/library/debian:bookworm-slim": (self.directory / "img" / "debian.tar", {"Cmd": ["bash"]}),
            f"docker.io/library/{PYTHON}": (self.directory / "img" / "python.tar", {"Cmd": ["python3"]}),
            # As the real one: its user is not root.
            "docker.io/curlimages/curl:8.10.1": (self.directory / "img" / "curl.tar", {"User": "100:101", "Entrypoint": ["/entrypoint.sh"], "Cmd": ["curl"]}),
        }
        for name, (root, config) in images.items():
            if name not in there and root.exists():
                archive = self.directory / "run" / "image.tar"
                write_image(archive, name, root, config)
                self.ctr("images", "import", archive)
                archive.unlink()

    # --- end

    def down(self):
        if self.pid("kube-apiserver") and self.pid("kubelet"):
            with contextlib.suppress(AssertionError):
                self.kubectl("delete", "pods", "--all", "--all-namespaces", "--force", "--grace-period=0", "--wait=false")
                time.sleep(2)
        for name in ("kubelet", "kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"):
            self.stop(name)
        if self.pid("containerd"):
            with contextlib.suppress(AssertionError):
                for task in self.ctr("tasks", "ls", "-q").split():
                    with contextlib.suppress(AssertionError):
                        self.ctr("tasks", "kill", "--signal", "SIGKILL", "--all", task)
                time.sleep(1)
                for task in self.ctr("tasks", "ls", "-q").split():
                    with contextlib.suppress(AssertionError):
                        self.ctr("tasks", "delete", "--force", task)
                for container in self.ctr("containers", "ls", "-q").split():
                    with contextlib.suppress(AssertionError):
                        self.ctr("containers", "delete", container)
        for name in ("containerd", "registry"):
            self.stop(name)
        for entry in pathlib.Path("/proc").iterdir():  # shims
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and f"-address\0{self.containerd_socket}".encode() in (entry / "cmdline").read_bytes():
                    os.kill(int(entry.name), signal.SIGKILL)
        for line in reversed(pathlib.Path("/proc/self/mounts").read_text().splitlines()):
            if line.split()[1].startswith(f"{self.directory}/"):
                subprocess.run(["umount", "-l", line.split()[1]], capture_output=True)
        for link in pathlib.Path("/var/log/containers").glob("*.log"):  # of the kubelet, wherever its logs are
            if link.is_symlink() and str(link.readlink()).startswith(f"{self.directory}/"):
                link.unlink()
        for group in pathlib.Path("/sys/fs/cgroup").glob("*/k8s.io"):
            for directory in (*group.iterdir(), group):
                with contextlib.suppress(OSError):
                    directory.rmdir()
        if pathlib.Path(f"/sys/class/net/{BRIDGE}").exists():
            for lease in (self.directory / "ipam" / "mfkube").glob("10.*"):
                lease.unlink()
            run("ip", "link", "del", BRIDGE)


def write_image(path, name, root, config):
    """An image of one layer as `docker save` writes it."""
    digest = hashlib.sha256()
    with open(root, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    config = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], **config}
    about = {"architecture": "amd64", "os": "linux", "config": config, "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest.hexdigest()}"]}, "history": [{}]}
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(path, "w") as tar:
        for member, content in (("config.json", about), ("manifest.json", manifest)):
            data = json.dumps(content).encode()
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        tar.add(root, "layer.tar")


def registry():
    """A registry that has no image."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            there = self.path == "/v2/"
            body = b"{}" if there else b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'
            self.send_response(200 if there else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

    http.server.ThreadingHTTPServer((ADDRESS, REGISTRY_PORT), Handler).serve_forever()


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("up", "down", "registry"):
        sys.exit(__doc__)
    if sys.argv[1] == "registry":
        registry()
    getattr(Cluster(sys.argv[2]), sys.argv[1])()
