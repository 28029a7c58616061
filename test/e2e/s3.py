"""S3 servers for the tests: moto, Ceph's radosgw, and a proxy in front of either that misbehaves and checks signatures."""

import contextlib
import hashlib
import http.client
import http.server
import importlib.util
import os
import random
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
import uuid

from s3_signatures import expected_presignature, expected_signature

KEY, SECRET = "peerkey", "peersecret/+="


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def answers(url):
    try:
        urllib.request.urlopen(url, timeout=5)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def wait_for(url, process, seconds=60):
    deadline = time.monotonic() + seconds
    while not answers(url):
        assert process.poll() is None and time.monotonic() < deadline, f"no server at {url}"
        time.sleep(0.05)


def has_moto():
    return all(importlib.util.find_spec(name) is not None for name in ("moto", "flask", "boto3"))


class Server:
    """An endpoint, and the environment that reaches it."""

    def __init__(self, url):
        self.url = url

    @property
    def environment(self):
        return {
            "METAFLOW_S3_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def client(self):
        import boto3

        return boto3.client(
            "s3", endpoint_url=self.url, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1"
        )


def make_bucket(server):
    server.client().create_bucket(Bucket="runs")


@contextlib.contextmanager
def stopped_at_the_end(processes):
    try:
        yield
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def moto(directory, environment=None):
    port = free_port()
    with open(directory / "moto.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", "import sys; from moto.server import main; main(sys.argv[1:])", "-H", "127.0.0.1", "-p", str(port)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    with stopped_at_the_end([process]):
        wait_for(f"http://127.0.0.1:{port}/moto-api/", process)
        yield Server(f"http://127.0.0.1:{port}")


def has_radosgw():
    path = os.environ["PATH"] + ":/usr/sbin"
    return all(shutil.which(program, path=path) for program in ("radosgw", "ceph-mon", "ceph-osd", "ceph", "radosgw-admin"))


CEPH = """[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{mon},v1:127.0.0.1:{old_mon}]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
log_file = {directory}/log/$name.log
admin_socket = {directory}/run/$name.$pid.asok
run_dir = {directory}/run
pid_file =
keyring = /dev/null
crash_dir = {directory}/run
[mon]
mon_data = {directory}/mon
public_addrv = [v2:127.0.0.1:{mon},v1:127.0.0.1:{old_mon}]
mon_pg_warn_min_per_osd = 0
[osd]
osd_data = {directory}/osd
osd_objectstore = memstore
memstore_device_bytes = 2G
osd_max_object_name_len = 460
osd_max_object_namespace_len = 64
osd_class_update_on_start = true
[client.rgw]
ms_mon_client_mode = crc
rgw_data = {directory}/rgw
rgw_frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw_enable_usage_log = false
rgw_thread_pool_size = 32
rgw_rados_pool_pg_num_min = 1
"""


@contextlib.contextmanager
def radosgw(directory):
    """A Ceph of one node, in memory, without passwords inside. It checks signatures."""
    for name in ("osd", "rgw", "log", "run"):
        (directory / name).mkdir()
    conf = directory / "ceph.conf"
    env = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}

    def run(*words):
        done = subprocess.run(words, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (words, done.stderr[-2000:])
        return done.stdout

    processes = []

    def launch(name, *words):
        with open(directory / "log" / f"{name}.out", "wb") as log:
            processes.append(subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def launch_mon(osd):
        """Releases the reserved port of the gateway. Fails if another process has taken one of the ports meanwhile."""
        port, mon, old_mon = free_port(), free_port(), free_port()
        conf.write_text(CEPH.format(fsid=uuid.uuid4(), directory=directory, port=port, mon=mon, old_mon=old_mon))
        shutil.rmtree(directory / "mon", ignore_errors=True)
        (directory / "mon").mkdir()
        run("ceph-mon", "-c", conf, "-i", "a", "--mkfs")
        launch("mon", "ceph-mon", "-f", "-c", conf, "-i", "a")
        run("ceph", "-c", conf, "--connect-timeout", "40", "osd", "new", osd)
        return port

    with stopped_at_the_end(processes):
        osd = str(uuid.uuid4())
        try:
            port = launch_mon(osd)
        except AssertionError:
            processes[-1].kill()
            processes[-1].wait()
            port = launch_mon(osd)
        run("ceph-osd", "-c", conf, "-i", "0", "--mkfs", "--osd-uuid", osd)
        launch("osd", "ceph-osd", "-f", "-c", conf, "-i", "0")
        launch("rgw", "radosgw", "-f", "-c", conf, "-n", "client.rgw")
        wait_for(f"http://127.0.0.1:{port}/", processes[-1], 120)
        run(
            "radosgw-admin", "-c", conf, "-n", "client.rgw", "user", "create", "--uid=peer", "--display-name=peer",
            f"--access-key={KEY}", f"--secret-key={SECRET}",
        )  # fmt: skip
        yield Server(f"http://127.0.0.1:{port}")


class Listener(http.server.ThreadingHTTPServer):
    """Calls `serve(handler)` for each request, on a port of this machine."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, serve):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def answer(self):
                serve(self)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, *_):
        pass

    def start(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


class Proxy(Server):
    """Passes requests on to a server, and makes some of them fail; every one whose signature is not the one that botocore computes is
    refused. `faults`: their names, of which one meets a request out of `one_in`. `certificate`: speaks TLS."""

    FAULTS = ("500", "slow_down", "lost_reply", "no_reply", "truncated", "reset", "slow")

    def __init__(self, backend, faults=FAULTS, one_in=4, seed=1, certificate=None):
        self.backend = urllib.parse.urlsplit(backend.url).netloc
        self.faults, self.one_in = faults, one_in
        self.random, self.lock = random.Random(seed), threading.Lock()
        self.counts, self.wrong_signatures, self.requests = dict.fromkeys(faults, 0), [], 0
        self.listener = Listener(self.serve)
        if certificate:  # a file with the key, too
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.listener.socket = context.wrap_socket(self.listener.socket, server_side=True)
        super().__init__(f"{'https' if certificate else 'http'}://127.0.0.1:{self.listener.server_port}")

    def __enter__(self):
        self.listener.start()
        return self

    def __exit__(self, *_):
        self.listener.stop()

    def choose(self):
        with self.lock:
            self.requests += 1
            if not self.faults or self.random.randrange(self.one_in) != 0:
                return None
            fault = self.random.choice(self.faults)
            self.counts[fault] += 1
            return fault

    def serve(self, handler):
        length = int(handler.headers.get("Content-Length", 0))
        body = handler.rfile.read(length)
        if len(body) < length:  # the client is gone
            return self.close(handler)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.check_signature(handler, headers, body)
        fault = self.choose()
        if fault == "500":
            return self.error(handler, 500, "InternalError")
        if fault == "slow_down":
            return self.error(handler, 503, "SlowDown")
        if fault == "no_reply":
            return self.close(handler)
        connection = http.client.HTTPConnection(self.backend, timeout=60)
        connection.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            if name not in ("expect", "connection"):
                connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        content = response.read()
        if fault == "lost_reply":
            return self.close(handler, reset=True)
        handler.send_response_only(response.status)
        for name, value in response.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                handler.send_header(name, value)
        length = response.getheader("Content-Length") if handler.command == "HEAD" else str(len(content))
        if length is not None and response.status != 204:
            handler.send_header("Content-Length", length)
        handler.end_headers()
        if handler.command == "HEAD":
            return None
        if fault in ("truncated", "reset") and content:
            handler.wfile.write(content[: len(content) // 2])
            return self.close(handler, reset=fault == "reset")
        if fault == "slow":
            step = max(len(content) // 10, 1)
            for begin in range(0, len(content), step):
                handler.wfile.write(content[begin : begin + step])
                handler.wfile.flush()
                time.sleep(0.005)
            return None
        handler.wfile.write(content)
        return None

    def error(self, handler, status, code):
        content = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
        handler.send_response_only(status)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(content)

    def close(self, handler, reset=False):
        handler.close_connection = True
        handler.wfile.flush()
        if reset:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            handler.connection.shutdown(socket.SHUT_WR)

    def check_signature(self, handler, headers, body):
        authorization = headers.get("authorization", "")
        if not authorization and "&X-Amz-Signature=" in handler.path:
            good = handler.path.endswith("=" + expected_presignature((KEY, SECRET), handler.command, self.url + handler.path))
            with self.lock:
                self.wrong_signatures += [] if good else [f"{handler.command} {handler.path.partition('?')[0]} (presigned)"]
            return
        wanted = expected_signature((KEY, SECRET), handler.command, self.url + handler.path, headers, authorization) if authorization else ""
        payload = headers.get("x-amz-content-sha256")
        good = wanted and authorization.endswith(f"Signature={wanted}")
        if not good or payload not in ("UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()):
            with self.lock:
                self.wrong_signatures.append(f"{handler.command} {handler.path}")


class Watched(Proxy):
    """Passes all on, and remembers it. `holds(method, path)`: whether a request waits until release(), or drop()."""

    def __init__(self, backend, holds=lambda method, path: False):
        super().__init__(backend, faults=())
        self.holds, self.decided, self.dropping = holds, threading.Event(), False
        self.asked, self.answered = [], []  # (method, path)

    def serve(self, handler):
        what = (handler.command, urllib.parse.urlsplit(handler.path).path)
        self.asked.append(what)
        if self.holds(*what):
            assert self.decided.wait(90), "it was held for ever"
            if self.dropping:
                return self.close(handler, reset=True)
        super().serve(handler)
        self.answered.append(what)
        return None

    def release(self):
        self.decided.set()

    def drop(self):
        self.dropping = True
        self.decided.set()
