"""The Debian package. It is unpacked, not installed: the tests leave the machine as it is."""

import re
import stat

import pytest

from conftest import SOURCE, VERSION, Project

# One worker makes the package.
pytestmark = pytest.mark.xdist_group("deb")

DOCUMENTS = "usr/share/doc/libmetaflow-cpp-dev"


@pytest.fixture(scope="session")
def unpacked(package):
    root = package.parent / "root"
    Project(root).command("dpkg-deb", "-x", package, root)
    return root


def test_control(project, package):
    fields = dict(re.findall(r"^([A-Z]\S*): ((?:.|\n )*)", project.command("dpkg-deb", "-f", package), re.MULTILINE))
    architecture = project.command("dpkg", "--print-architecture").strip()
    assert package.name == f"libmetaflow-cpp-dev_{VERSION}_{architecture}.deb"
    assert fields["Package"] == "libmetaflow-cpp-dev"
    assert fields["Version"] == VERSION
    assert fields["Architecture"] == architecture
    assert fields["Section"] == "libdevel"
    assert fields["Maintainer"] == "Metaflow for C++ developers"
    assert fields["Depends"] == "libyaml-cpp-dev, nettle-dev, zlib1g-dev"
    assert len(fields["Description"].splitlines()[0]) <= 80 and len(fields["Description"].splitlines()) > 2
    for name in fields["Depends"].split(", "):
        assert project.command("dpkg-query", "-W", "-f${Status}", name) == "install ok installed"


def test_contents(project, package):
    for line in project.command("dpkg-deb", "-c", package).splitlines():
        mode, owner, *_, path = line.split()
        assert owner == "root/root"
        assert mode == ("drwxr-xr-x" if path.endswith("/") else "-rw-r--r--"), line
        assert re.match(rf"\./(usr/(include/(metaflow/.*)?|lib/.*|share/(doc/)?|{DOCUMENTS[4:]}/.*)?)?$", path), line


def test_headers_and_documents(unpacked):
    files = lambda top: {path.relative_to(top): path.read_bytes() for path in top.rglob("*") if path.is_file()}
    assert files(unpacked / "usr/include") == files(SOURCE / "include")
    documents = unpacked / DOCUMENTS
    for name in ("README.md", "CHANGELOG.md", "docs/install.md"):
        assert (documents / name).read_bytes() == (SOURCE / name).read_bytes()
    installed = {str(path.relative_to(documents / "docs")) for path in (documents / "docs").rglob("*") if path.is_file()}
    assert {"tutorial/1-first-flow.md", "tutorial/hello.cc", "tutorial/CMakeLists.txt"} <= installed
    assert not {name for name in installed if re.match("decisions|failure-points|platforms|style", name)}, "for developers"
    assert "/usr/share/common-licenses/Apache-2.0" in (documents / "copyright").read_text()
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
