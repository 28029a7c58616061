"""The library as other projects use it.

What docs/install.md tells a user to type is run as it stands there. METAFLOW_BUILD names a build tree in which everything is
built; each test has a directory below it, emptied when the test starts and kept when it ends."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

BUILD = pathlib.Path(os.environ["METAFLOW_BUILD"])
SOURCE = pathlib.Path(__file__).resolve().parents[2]
PACKAGING = SOURCE / "test" / "packaging"
VERSION = re.search(r'METAFLOW_CPP_VERSION "(.*)"', (SOURCE / "include/metaflow/version.h").read_text())[1]

WARNINGS = "-Wall -Wextra -Werror"
# The library's headers are included as system headers, so projects may switch on any warning.
MORE_WARNINGS = WARNINGS + " -Wpedantic -Wconversion -Wshadow -Wold-style-cast"


def read_blocks():
    """The fenced blocks of docs/install.md that a comment before them names."""
    text = (SOURCE / "docs" / "install.md").read_text()
    return dict(re.findall(r"^<!-- (.*?) -->\n```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


BLOCKS = read_blocks()


@pytest.fixture(autouse=True)
def needs_the_compiler(request):
    """Tests with a parameter `compiler` are for machines that have it."""
    compiler = request.node.callspec.params.get("compiler", "g++") if hasattr(request.node, "callspec") else "g++"
    if shutil.which(compiler) is None:
        pytest.skip(f"needs the program {compiler}")


class Project:
    """A directory with a project of a user, and the environment in which its commands run."""

    def __init__(self, directory):
        self.directory = directory
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "USER": "tester",
            "CXX": "g++",
            "CXXFLAGS": WARNINGS,
            "CMAKE_GENERATOR": "Ninja",
            "CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count()),
            "CMAKE_EXPORT_COMPILE_COMMANDS": "ON",
        }
        if shutil.which("ccache"):
            cache = subprocess.check_output(["ccache", "--get-config", "cache_dir"], text=True).strip()
            self.environment.update(CMAKE_CXX_COMPILER_LAUNCHER="ccache", CCACHE_DIR=cache)

    def copy(self, *names):
        """Files of test/packaging; of a folder, what is in it."""
        for name in names:
            if (PACKAGING / name).is_dir():
                shutil.copytree(PACKAGING / name, self.directory, dirs_exist_ok=True)
            else:
                shutil.copy(PACKAGING / name, self.directory)

    def write(self, name, text):
        (self.directory / name).write_text(text)

    def command(self, *words, status=0, **environment):
        """What it prints; must end with that status."""
        process = subprocess.run(
            list(map(str, words)),
            cwd=self.directory,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.returncode == status, f"{words}: status {process.returncode}\n{process.stdout}"
        return process.stdout

    def shell(self, block, replace=(), **environment):
        """Runs a block of docs/install.md, with some words replaced."""
        text = BLOCKS[f"run: {block}"]
        for old, new in dict(replace).items():
            assert old in text
            text = text.replace(old, new)
        return self.command("bash", "-euxc", text, **environment)

    def needed(self, program):
        """The shared objects that a program or a shared object loads: "libc" for libc.so.6."""
        return set(re.findall(r"\(NEEDED\).*\[(.*?)\.so", self.command("readelf", "-d", program)))

    def compiler_options(self):
        """What CMake adds of its own when it compiles hello.cc."""
        commands = (self.directory / "build" / "compile_commands.json").read_text()
        words = re.search(r'"command": "(.*? -c \S*/hello\.cc)"', commands)[1].split()
        given = self.environment["CXXFLAGS"].split()
        words = [word for word in words if word not in given]
        words = words[1 + next(i for i, word in enumerate(words) if word.endswith("++") or "++-" in word) :]
        return words[: words.index("-o")]


@pytest.fixture
def project(request):
    return Project(BUILD / "packaging" / re.sub(r"\W+", "_", request.node.name).strip("_"))


def anchors(path):
    """The anchors of a page's headings, by GitHub's rule."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)).lower().replace(" ", "-") for heading in headings}


def check_links(top):
    """The links of the pages below a directory lead to files in it, and to headings. Returns the number of pages."""
    top = top.resolve()
    pages = [*sorted(top.glob("*.md")), *sorted((top / "docs").rglob("*.md")), top / "bench" / "README.md"]
    for path in pages:
        text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if link.startswith("http"):
                continue
            name, _, anchor = link.partition("#")
            target = (path.parent / name).resolve() if name else path
            assert target.exists() and target.is_relative_to(top), f"{path.relative_to(top)}: {link}"
            assert not anchor or anchor in anchors(target), f"{path.relative_to(top)}: {link}"
    return len(pages)


# Tests that run beside each other have what they share once for each worker.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "alone")


@pytest.fixture(scope="session")
def installed():
    """The project in whose home directory the library is installed."""
    project = Project(BUILD / "packaging" / f"installed_{WORKER}")
    (project.directory / "build").mkdir()
    (project.directory / "build" / "release").symlink_to(BUILD)
    project.shell("install")
    return project


@pytest.fixture(scope="session")
def packages():
    """The Debian packages by their names."""
    project = Project(BUILD / "packaging" / f"deb_{WORKER}")
    (project.directory / "build").mkdir()
    (project.directory / "build" / "release").symlink_to(BUILD)
    project.shell("deb")
    return {file.name.partition("_")[0]: file for file in project.directory.glob("*.deb")}
