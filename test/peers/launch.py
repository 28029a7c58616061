"""Starts a stand-in for a test, and talks to its door for tests."""

import json
import os
import pathlib
import sys
import urllib.error
import urllib.request

_TEST = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_TEST))

import warm  # noqa: E402


class PeerProcess:
    """A running server. Ends with its 'with', or when the test's process ends."""

    def __init__(self, module, directory, arguments=(), scenario=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        command = ["-m", f"peers.{module}", "--state", str(self.directory), *arguments]
        if scenario is not None:
            path = self.directory / "scenario.json"
            path.write_text(json.dumps(scenario))
            command += ["--scenario", str(path)]
        self._errors = open(self.directory / "errors.log", "wb")
        python_path = os.pathsep.join(filter(None, [str(_TEST), os.environ.get("PYTHONPATH")]))
        (stdin, hold), (output, stdout) = os.pipe(), os.pipe()
        self._hold, self._output = open(hold, "wb"), open(output, "rb")
        self.process = warm.start(command, stdin=stdin, stdout=stdout, stderr=self._errors.fileno(), env={**os.environ, "PYTHONPATH": python_path})
        os.close(stdin)  # the server ends when its standard input does
        os.close(stdout)
        self.url = self._output.readline().decode().strip()
        if not self.url:
            self.process.wait()
            raise RuntimeError(f"the peer {module} did not start:\n{self.errors()}")
        self.context = None

    def errors(self):
        """What the server complained of; nothing, if it is well."""
        return (self.directory / "errors.log").read_text()

    def request(self, method, path, body=None, headers=None, timeout=30):
        """A raw request: status, headers, body."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=self.context) as response:
                return response.status, response.headers, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def tell(self, method, path, body=None):
        """A request to the door for tests: '/rules' and the like."""
        status, _, answer = self.request(method, "/_test" + path, body, {"Content-Type": "application/json"})
        answer = json.loads(answer)
        if status != 200:
            raise RuntimeError(f"{method} {path}: {answer['error']}")
        return answer

    def counts(self):
        return self.tell("GET", "/counts")["requests"]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
        self._hold.close()
        self._output.close()
        self._errors.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
