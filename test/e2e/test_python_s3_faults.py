"""S3 for flows in Python against servers that answer as a test says."""

import contextlib
import os
import re
import signal
import threading
import urllib.parse

import pytest

import s3 as servers
from conftest import SANITIZED
from test_python_s3 import ours  # noqa: F401

pytestmark = pytest.mark.skipif(SANITIZED, reason="an instrumented library cannot be loaded into an interpreter that is not")


class Answering:
    """A server that answers as `answer(handler, body)` says: status, content, headers."""

    def __init__(self, answer):
        def serve(handler):
            status, content, headers = answer(handler, handler.rfile.read(int(handler.headers.get("Content-Length", 0))))
            handler.send_response_only(status)
            for name, value in {"Content-Length": len(content), **headers}.items():
                handler.send_header(name, str(value))
            handler.end_headers()
            if handler.command != "HEAD":
                handler.wfile.write(content)

        self.listener = servers.Listener(serve)
        self.url = f"http://127.0.0.1:{self.listener.server_port}"

    def __enter__(self):
        self.listener.start()
        return self

    def __exit__(self, *_):
        self.listener.stop()


@pytest.fixture
def answering(ours, monkeypatch, tmp_path):  # noqa: F811
    """Starts a server, which this process uses."""
    monkeypatch.chdir(tmp_path)
    with contextlib.ExitStack() as stack:

        def start(answer):
            server = stack.enter_context(Answering(answer))
            for name, value in servers.Server(server.url).environment.items():
                monkeypatch.setenv(name, value)
            return server

        yield start


def error_of(code):
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>words</Message></Error>".encode()


def test_no_access(answering, ours):  # noqa: F811
    answering(lambda handler, body: (403, error_of("AccessDenied"), {}))
    with ours.S3(s3root="s3://b/p") as s3:
        for action in (
            lambda: s3.get("x"), lambda: s3.get_many(["x", "y"]), lambda: s3.info("x"), lambda: s3.info_many(["x"], return_missing=True),
            lambda: s3.list_paths(), lambda: s3.get_all(), lambda: s3.put("x", "1"), lambda: s3.put_many([("x", "1")]),
            lambda: s3.put("x", "1", overwrite=False), lambda: s3.put_many([("x", "1")], overwrite=False),
        ):  # fmt: skip
            with pytest.raises(ours.MetaflowS3AccessDenied, match="(?s)Access denied to URL: s3://b/p.*The AWS credentials come from"):
                action()


def test_a_server_that_is_down(ours, monkeypatch, tmp_path):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    port = servers.free_port()
    for name, value in servers.Server(f"http://127.0.0.1:{port}").environment.items():
        monkeypatch.setenv(name, value)
    with ours.S3(s3root="s3://b/p") as s3, pytest.raises(ours.MetaflowS3Exception) as raised:
        s3.get_many(["x"] * 100)
    assert re.match(rf"Cannot read 's3://b/p/x': GET http://127.0.0.1:{port}/b/p/x: Failed to connect", str(raised.value))
    assert "METAFLOW_S3_ENDPOINT_URL" in str(raised.value)


def test_a_disk_that_is_full(answering, ours):  # noqa: F811
    answering(lambda handler, body: (206, b"1", {"Content-Range": "bytes 0-0/1", "ETag": "e"}))
    with ours.S3(s3root="s3://b/p") as s3:
        s3._new_path = lambda address: "/dev/full"
        with pytest.raises(ours.MetaflowS3InsufficientDiskSpace, match="No space left"):
            s3.get("x")


def test_signals_are_handled_during_a_transfer(answering, ours):  # noqa: F811
    released = threading.Event()

    def answer(handler, body):
        os.kill(os.getpid(), signal.SIGINT)
        released.wait(60)
        return 200, b"", {}

    answering(answer)
    try:
        with ours.S3(s3root="s3://b/p") as s3:
            with pytest.raises(KeyboardInterrupt):
                s3.put("x", "1" * 1000)
    finally:
        released.set()


def test_ten_thousand_small_objects(answering, ours):  # noqa: F811
    objects = {}

    def answer(handler, body):
        path = urllib.parse.unquote(handler.path)
        if handler.command == "PUT":
            objects[path] = body
            return 200, b"", {}
        content = objects[path]
        return 206, content, {"Content-Range": f"bytes 0-{len(content) - 1}/{len(content)}", "ETag": "e"}

    answering(answer)
    keys = [f"object {number}" for number in range(10_000)]
    with ours.S3(s3root="s3://b/p") as s3:
        assert [key for key, _ in s3.put_many([(key, key) for key in keys])] == keys
        assert [found.text for found in s3.get_many(keys)] == keys
    assert len(objects) == 10_000
