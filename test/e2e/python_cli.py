"""What the tests of flows in Python share."""

import json
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLOWS = pathlib.Path(__file__).parent / "flows_in_python"
CONFIGURED = pathlib.Path(__file__).parent / "python" / "configured_flow.py"
SETTINGS = json.dumps({"project": "second", "count": 5, "nested": {"level": "high"}, "times": 1})

HEAD = "from metaflow_cpp import FlowSpec, step, retry\n\nclass F1(FlowSpec):\n    @step\n    def start(self):\n"
TAIL = "\n    @step\n    def end(self):\n        pass\n\nif __name__ == '__main__':\n    F1()\n"


class PythonCli:
    """Runs flows in Python on the engine of the build tree."""

    def __init__(self, cli):
        self.cli = cli
        cli.environment |= {"PYTHONPATH": str(ROOT / "python"), "METAFLOW_ENGINE_DIRECTORY": str(cli.build / "python/metaflow_cpp/native")}

    def __call__(self, flow, *arguments, **more):
        path = flow if isinstance(flow, pathlib.Path) else FLOWS / f"{flow}.py"
        return self.cli.execute([sys.executable, "-B", path, *arguments], **more)

    def unchanged(self, path, *arguments, **more):
        """A flow that imports metaflow."""
        return self.cli.execute([sys.executable, "-B", "-m", "metaflow_cpp", path, *arguments], **more)

    def run(self, flow, *arguments, **more):
        return self.cli._run(lambda *words: self(flow, *words, **more), *arguments)

    def write(self, text):
        """A flow of this text, in the test's directory."""
        path = self.cli.directory / "flow.py"
        path.write_text(text)
        return path


def smaller(listing, cli):
    """A listing of the page about executing tasks remotely, with a matrix of 128 MB instead of 48 GB; the path of the flow."""
    path = cli.directory / f"{listing}.py"
    text = (FLOWS / f"{listing}.py").read_text()
    for number, other in (("80000", "4000"), ("10000", "500"), ("memory=60000", "memory=1000"), ("cpu=8", "cpu=2")):
        text = text.replace(number, other)
    path.write_text(text)
    return path


@pytest.fixture
def py(cli):
    return PythonCli(cli)


@pytest.fixture
def configured(py):
    """Both engines in a directory with the files of the flow."""
    for name, text in (("text.txt", "some text\r\nlines\rmore\n"), ("table.txt", "a=1\nb=2\n"), ("other.txt", "a=9 b=8"), ("settings.json", SETTINGS)):
        (py.cli.directory / name).write_text(text)
    (py.cli.directory / "latin.txt").write_bytes("é".encode("latin-1"))
    return py
