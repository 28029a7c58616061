"""The documentation is correct: docs/install.md shows the files that these tests build and the packages that the dev commands install, every
whole program in README and docs/ compiles and runs, and links lead to existing files and headings."""

import re
import subprocess
import sys

import pytest

from conftest import BLOCKS, PACKAGING, SOURCE, VERSION, WARNINGS, check_links


def test_files():
    shown = {name: text for name, text in BLOCKS.items() if name.startswith("test/")}
    assert shown.keys() == {
        "test/packaging/hello.cc",
        "test/packaging/find_package/CMakeLists.txt",
        "test/packaging/add_subdirectory/CMakeLists.txt",
        "test/packaging/fetch_content/CMakeLists.txt",
        "test/packaging/precompiled/CMakeLists.txt",
    }
    for name, text in shown.items():
        assert text == (SOURCE / name).read_text()


def test_packages():
    packages = re.search(r"^build_packages=\((.*)\)$", (SOURCE / "dev" / "common.sh").read_text(), re.MULTILINE)[1]
    assert BLOCKS["packages"] == f"sudo apt install {packages}\n"


@pytest.mark.parametrize("name", ["arm64", "chaos", "check", "docs", "fuzz", "packages", "soak", "test"])
def test_dev_commands_refuse_a_wrong_word(name):
    result = subprocess.run([SOURCE / "dev" / name, "wrong word"], capture_output=True, text=True)
    assert result.returncode == 2 and result.stderr.startswith(f"usage: dev/{name} "), result
    assert result.stdout == ""  # nothing was installed


def test_version():
    for name in ("find_package", "shared_object", "precompiled"):
        assert f"find_package(metaflow-cpp {VERSION.rpartition('.')[0]} REQUIRED)" in (PACKAGING / name / "CMakeLists.txt").read_text()
    assert f"GIT_TAG v{VERSION}\n" in (PACKAGING / "fetch_content" / "CMakeLists.txt").read_text()


def test_links(installed):
    """Also those of the installed pages: none leads to a page that is not installed."""
    assert check_links(SOURCE) == check_links(installed.directory / ".local" / "share" / "doc" / "metaflow-cpp")


def test_fragments():
    """The fragments of the guides are code that is compiled and executed: test/flows/guides.cc."""
    lines = lambda text: "\n".join(line.strip() for line in text.strip().splitlines())
    guides = lines((SOURCE / "test" / "flows" / "guides.cc").read_text())
    for path in (*sorted((SOURCE / "docs" / "how-to").glob("*.md")), *sorted((SOURCE / "docs" / "coming-from").glob("*.md"))):
        for block in re.findall(r"^```cpp\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL):
            assert "int main(" in block or lines(block) in guides, f"{path.name}: this is not in test/flows/guides.cc:\n{block}"


def test_navigation():
    """Every page is in the navigation of the site. Folders that mkdocs.yml names as a whole have no lines."""
    navigation = re.search(r"^nav:\n(.*?)^\S", (SOURCE / "mkdocs.yml").read_text(), re.MULTILINE | re.DOTALL)[1]
    pages = [str(path.relative_to(SOURCE / "docs")) for path in (SOURCE / "docs").rglob("*.md") if path.parent.name != "decisions"]
    listed = re.findall(r"^ *- (?:.*: )?(\S+\.md)$", navigation, re.MULTILINE)
    for page in pages:
        assert listed.count(page) == 1, f"docs/{page} needs one line in the navigation in mkdocs.yml"


def whole_programs():
    """The C++ blocks of the documentation that are programs."""
    seen = set()  # the start page of the site has the flow of the README
    for path in (SOURCE / "README.md", *sorted((SOURCE / "docs").glob("*.md")), *sorted((SOURCE / "docs" / "coming-from").glob("*.md"))):
        for block in re.findall(r"^```cpp\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL):
            if "#include" in block and "int main(" in block and block not in seen:
                seen.add(block)
                yield pytest.param(block, id=path.stem)


@pytest.mark.parametrize("program", whole_programs())
def test_programs_that_are_shown(project, installed, program):
    project.environment["HOME"] = str(installed.directory)
    project.write("hello.cc", program)
    for site in ("north", "east", "south", "west"):  # what the flow of docs/failures.md reads
        project.write(f"{site}.txt", "5\n")
    run = "./hello run" if "mf::run<" in program else "./hello || true"  # what reads runs finds none here
    output = project.shell("pkg-config", {"g++": f"g++ {WARNINGS}", "./hello run": run})
    assert "Done!" in output or "mf::run<" not in program


def test_the_first_flow_prints_what_is_shown(project, installed):
    """The README's flow, its run, and what Python reads of it."""
    project.environment["HOME"] = str(installed.directory)
    readme = (SOURCE / "README.md").read_text()
    project.write("hello.cc", re.search(r"^```cpp\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)[1])
    project.shell("pkg-config")
    printed = project.command("./hello", "run", "--n", 4, METAFLOW_USER="ada")
    shown = re.search(r"^\$ \./sweep run --n 4\n(.*?)^$", readme, re.MULTILINE | re.DOTALL)[1]
    for line in shown.splitlines():
        words = re.sub(r"^\d\S+ \S+ (\[\S+ \(pid \d+\)\] )?", "", line)  # without time and task,
        words = words.split(" Wall time ")[0]  # and without the figures of the summary
        assert line == "..." or "run-id" in line or line.startswith("Creating local datastore ") or words in printed, line
    best = project.command(sys.executable, "-c", "from metaflow import Flow, namespace; namespace(None); print(Flow('Sweep').latest_run.data.best)")
    assert best.splitlines()[-1] == re.search(r"latest_run\.data\.best\)'\n(\S+)", readme)[1]
