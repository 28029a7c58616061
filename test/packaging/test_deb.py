"""The Debian packages. dpkg installs them in a directory: the tests leave the machine as it is."""

import gzip
import re
import stat

import pytest

from conftest import SOURCE, VERSION, Project

DEV, DOC = "libmetaflow-cpp-dev", "libmetaflow-cpp-doc"
DOCUMENTS = f"usr/share/doc/{DEV}"


class Root(Project):
    """A directory with a package database of its own, which knows no other package."""

    def __init__(self, directory):
        super().__init__(directory)
        (directory / "var/lib/dpkg/updates").mkdir(parents=True)
        (directory / "var/lib/dpkg/info").mkdir()
        (directory / "var/lib/dpkg/status").touch()
        self.fresh = self.files()

    def files(self):
        return {path.relative_to(self.directory) for path in self.directory.rglob("*") if "dpkg" not in path.parts}

    def dpkg(self, *words):
        return self.command("dpkg", f"--root={self.directory}", "--force-not-root", "--force-depends", "--log=/dev/null", *words)


@pytest.fixture(scope="session")
def unpacked(packages):
    root = Root(packages[DEV].parent / "root")
    root.dpkg("--install", *packages.values())
    return root.directory


def test_control(project, packages):
    architecture = project.command("dpkg", "--print-architecture").strip()
    depends = {DEV: "libyaml-cpp-dev, nettle-dev, zlib1g-dev", DOC: None}
    assert packages.keys() == depends.keys()
    for name, kind, section in ((DEV, architecture, "libdevel"), (DOC, "all", "doc")):
        fields = dict(re.findall(r"^([A-Z]\S*): ((?:.|\n )*)", project.command("dpkg-deb", "-f", packages[name]), re.MULTILINE))
        assert packages[name].name == f"{name}_{VERSION}_{kind}.deb"
        shown = {key: fields[key] for key in ("Package", "Version", "Architecture", "Section")}
        assert shown == {"Package": name, "Version": VERSION, "Architecture": kind, "Section": section}
        assert re.fullmatch(r"Metaflow for C\+\+ developers <\S+@\S+>", fields["Maintainer"])
        assert fields.get("Depends") == depends[name]
        assert len(fields["Description"].splitlines()[0]) <= 80 and len(fields["Description"].splitlines()) > 2
    for name in depends[DEV].split(", "):
        assert project.command("dpkg-query", "-W", "-f${Status}", f"{name}:{architecture}") == "install ok installed"


def test_contents(project, packages):
    places = {DEV: rf"usr/(include/(metaflow/.*)?|lib/.*|share/(doc/({DEV}/((copyright|changelog)\S*)?)?)?)?", DOC: rf"usr/share/(doc/({DEV}|{DOC})/.*)?|usr/(share/(doc/)?)?"}
    for name, package in packages.items():
        for line in project.command("dpkg-deb", "-c", package).splitlines():
            mode, owner, *_, path = line.split()
            assert owner == "root/root"
            assert mode == ("drwxr-xr-x" if path.endswith("/") else "-rw-r--r--"), line
            assert re.fullmatch(rf"\./({places[name]})?", path), line


def test_removal_leaves_nothing(packages):
    root = Root(packages[DEV].parent / "removed")
    root.dpkg("--install", *packages.values())
    assert root.files() > root.fresh
    root.dpkg("--remove", DEV, DOC)
    assert root.files() == root.fresh


def test_headers_and_documents(unpacked):
    files = lambda top: {path.relative_to(top): path.read_bytes() for path in top.rglob("*") if path.is_file()}
    assert files(unpacked / "usr/include") == files(SOURCE / "include")
    documents = unpacked / DOCUMENTS
    for name in ("README.md", "CHANGELOG.md", "docs/install.md"):
        assert (documents / name).read_bytes() == (SOURCE / name).read_bytes()
    for name in (DEV, DOC):
        assert "/usr/share/common-licenses/Apache-2.0" in (documents.parent / name / "copyright").read_text()
        assert gzip.decompress((documents.parent / name / "changelog.gz").read_bytes()).startswith(b"libmetaflow-cpp (%b)" % VERSION.encode())
    installed = {str(path.relative_to(documents / "docs")) for path in (documents / "docs").rglob("*") if path.is_file()}
    assert {"tutorial/1-first-flow.md", "tutorial/hello.cc", "tutorial/CMakeLists.txt"} <= installed
    assert not {name for name in installed if re.match("decisions|failure-points|platforms|style", name)}, "for developers"
    for example in (SOURCE / "examples").glob("*.cc"):
        assert (documents / "examples" / example.name).read_bytes() == example.read_bytes()


def test_find_package(project, unpacked):
    project.copy("hello.cc", "find_package")
    output = project.shell("build", {"$HOME/.local": str(unpacked / "usr")})
    assert "The sum of the squares is 14.\n" in output


def test_pkg_config(project, unpacked):
    project.copy("hello.cc")
    (file,) = unpacked.rglob("metaflow-cpp.pc")
    output = project.shell("pkg-config", {"$HOME/.local/lib/pkgconfig": str(file.parent)})
    assert "The sum of the squares is 14.\n" in output


def test_examples(project, unpacked):
    output = project.shell("examples", {f"/{DOCUMENTS}": str(unpacked / DOCUMENTS)}, CMAKE_PREFIX_PATH=str(unpacked / "usr"))
    assert "The sum is " in output
    programs = {path.name for path in (project.directory / "examples").iterdir() if path.is_file() and path.stat().st_mode & stat.S_IXUSR}
    assert programs == {path.stem for path in (SOURCE / "examples").glob("*.cc")}
