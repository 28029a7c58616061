"""The code in Python on the pages: fragments of the guides are in flows_in_python/guides.py, whole programs are executed, also by the
official Metaflow."""

import pathlib
import re
import stat
import sys
import textwrap

import pytest

from conftest import BUILD, SANITIZED
from python_cli import FLOWS, PythonCli

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
START = ROOT / "docs" / "README.md"
GUIDES = sorted((ROOT / "docs" / "how-to").glob("*.md"))
READING = ROOT / "docs" / "how-to" / "python-and-pandas.md"  # its code reads runs
COMING = ROOT / "docs" / "coming-from" / "metaflow.md"

pytestmark = pytest.mark.skipif(SANITIZED, reason="an instrumented library cannot be loaded into an interpreter that is not")


def blocks(page, language="python"):
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def py(cli):
    return PythonCli(cli)


def test_guides(py, client):
    """The fragments of docs/how-to, in one flow."""
    (py.cli.directory / "data.txt").write_text("hello\n")
    run = client.Run("Guides/" + py.run("guides", "--file", "data.txt"))
    assert run["end"].task.stdout == "6 bytes, 450000 in all\n" and run["end"].task.data.prices.shape == (100, 1000)
    assert run["fill"].task.data.values == [*range(10)] * 10 and run["fetch"].task.metadata_dict["attempt"] == "1"
    result = py("guides", "run", "--file", "data.txt", "--source", "gone")
    assert result.status == 0 and "] Skipped: no such file: gone\n" in result.out, result


@pytest.mark.parametrize("page", [page for page in GUIDES if page != READING], ids=lambda page: page.stem)
def test_fragments(page):
    flow = (FLOWS / "guides.py").read_text()
    for block in blocks(page):
        assert any("\n" + textwrap.indent(block, " " * depth) in flow for depth in (0, 4, 8)), f"{page.name}: this is not in guides.py:\n{block}"


@pytest.mark.parametrize("page", [*GUIDES, README, START, COMING], ids=lambda page: "/".join(page.parts[-2:]))
def test_code_is_in_both_languages(page):
    """C++ is directly followed by Python: the site makes tabs of them."""
    for following in re.findall(r"^```cpp\n(?:(?!```).*\n)*```\n\n?(.*)$", page.read_text(), re.MULTILINE):
        assert following == "```python", f"{page.name}: code in C++ without code in Python, before: {following}"


def test_the_start_page_has_the_flows_of_the_readme():
    for language in ("cpp", "python"):
        assert blocks(START, language) == blocks(README, language)


def test_the_first_flow_prints_what_is_shown(py, client):
    """The README's flow in Python prints what the one in C++ prints."""
    (flow,) = blocks(README)
    path = py.write(flow)
    result = py.unchanged(path, "run", "--n", "4", env={"METAFLOW_USER": "ada"})
    assert result.status == 0, result
    shown = re.search(r"^\$ \./sweep run --n 4\n(.*?)^$", README.read_text(), re.MULTILINE | re.DOTALL)[1]
    printed = result.out + result.err
    for line in shown.splitlines():
        words = re.sub(r"^\d\S+ \S+ (\[\S+ \(pid \d+\)\] )?", "", line)  # without time and task,
        words = words.split(" Wall time ")[0]  # and without the figures of the summary
        assert line == "..." or "run-id" in line or line.startswith("Creating local datastore ") or words in printed, line
    assert str(client.Flow("Sweep").latest_run.data.best) == re.search(r"latest_run\.data\.best\)'\n(\S+)", README.read_text())[1]


def test_a_flow_of_metaflow_runs_unchanged(py, client):
    (flow,) = blocks(COMING)
    path = py.write(flow)
    official = py.cli.execute([sys.executable, "-B", path, "--no-pylint", "run"])
    for result in (official, py.unchanged(path, "run"), py.unchanged(path, "status")):
        assert result.status == 0, result
    assert [run["end"].task.stdout for run in client.Flow("Squares")] == ["The sum is 14\n"] * 2


SEEDS = """
import random
from metaflow_cpp import FlowSpec, Parameter, step

class Seeds(FlowSpec):
    darts = Parameter("darts", default=1000)

    @step
    def start(self):
        self.seeds = [1, 2, 3]
        self.next(self.play, foreach="seeds")

    @step
    def play(self):
        random.seed(self.input)
        self.hits = sum(random.random() ** 2 + random.random() ** 2 < 1 for _ in range(self.darts))
        self.next(self.collect)

    @step
    def collect(self, inputs):
        self.pi = 4 * sum(i.hits for i in inputs) / (self.darts * len(list(inputs)))
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    Seeds()
"""


@pytest.mark.parametrize("module", ["metaflow", "metaflow_cpp"])
@pytest.mark.parametrize("language", ["C++", "Python"])
def test_reading(py, module, language):
    """The code about reading, with both clients and runs of both languages."""
    pytest.importorskip("pandas", reason="needs pandas")
    flow = py.write(SEEDS)
    words = [sys.executable, "-B", flow] if language == "Python" else [BUILD / "tutorial" / "seeds"]
    seeds = py.cli.directory / "seeds"  # the program's name on the page
    seeds.write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in words) + ' "$@"\n')
    seeds.chmod(seeds.stat().st_mode | stat.S_IXUSR)
    for darts in ("1000", "2000"):
        assert py.cli.execute([seeds, "run", "--darts", darts]).status == 0
    program = "".join(blocks(READING)).replace("from metaflow import", f"from {module} import") + "print(artifacts['pi'])\n"
    result = py.cli.execute([sys.executable, "-B", "-c", program])
    assert result.status == 0, result
    lines = result.out.splitlines()
    assert 2.8 < float(lines[0]) < 3.4 and lines[-1] == lines[0], result
    assert re.fullmatch(r"\s+seed\s+hits", lines[1]) and re.fullmatch(r"\s+darts\s+pi", lines[-4]), result
