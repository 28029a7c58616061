"""The Debian packages. dpkg installs them in a directory: the tests leave the machine as it is."""

import gzip
import re
import stat

import pytest

from conftest import SOURCE, VERSION, Project, check_links

SONAME = VERSION.rpartition(".")[0]
DEV, DOC, RUNTIME = "libmetaflow-cpp-dev", "libmetaflow-cpp-doc", f"libmetaflow-cpp{SONAME}"
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
    root.dpkg("--install", packages[DEV], packages[DOC])
    # Its script calls ldconfig, which is not in this directory: dev/packages installs it in a copy of the system.
    root.command("dpkg-deb", "-x", packages[RUNTIME], ".")
    return root.directory


def test_control(project, packages):
    architecture = project.command("dpkg", "--print-architecture").strip()
    assert packages.keys() == {DEV, DOC, RUNTIME}
    depends = {}
    for name, kind, section in ((DEV, architecture, "libdevel"), (DOC, "all", "doc"), (RUNTIME, architecture, "libs")):
        fields = dict(re.findall(r"^([A-Z]\S*): ((?:.|\n )*)", project.command("dpkg-deb", "-f", packages[name]), re.MULTILINE))
        assert packages[name].name == f"{name}_{VERSION}_{kind}.deb"
        shown = {key: fields[key] for key in ("Package", "Version", "Architecture", "Section")}
        assert shown == {"Package": name, "Version": VERSION, "Architecture": kind, "Section": section}
        assert re.fullmatch(r"Metaflow for C\+\+ developers <\S+@\S+>", fields["Maintainer"])
        depends[name] = re.sub(r" \(>= \S+\)", "", fields.get("Depends", "")).split(", ")
        assert len(fields["Description"].splitlines()[0]) <= 80 and len(fields["Description"].splitlines()) > 2
    libraries = ["libyaml-cpp-dev", "nettle-dev", "zlib1g-dev"]
    assert depends[DEV] == [*libraries, f"{RUNTIME} (= {VERSION})"] and depends[DOC] == [""]
    # What the shared library loads, as dpkg-shlibdeps finds it. dpkg-shlibdeps of a program with it finds this package.
    assert {"libc6", "libstdc++6", "libyaml-cpp0.7"} <= set(depends[RUNTIME])
    assert project.command("dpkg-deb", "-I", packages[RUNTIME], "shlibs").split()[:3] == ["libmetaflow-cpp", SONAME, RUNTIME]
    for name in libraries:
        assert project.command("dpkg-query", "-W", "-f${Status}", f"{name}:{architecture}") == "install ok installed"


def test_contents(project, packages):
    places = {DEV: rf"usr/(include/(metaflow/.*)?|lib/.*|share/(doc/({DEV}/((copyright|changelog)\S*)?)?)?)?", DOC: rf"usr/share/(doc/({DEV}|{DOC})/.*)?|usr/(share/(doc/)?)?"}
    places[RUNTIME] = rf"usr/(lib/([^/]+/)?(libmetaflow-cpp\.so\.\S+)?|share/(doc/({RUNTIME}/((copyright|changelog)\S*)?)?)?)?"
    for name, package in packages.items():
        for line in project.command("dpkg-deb", "-c", package).splitlines():
            mode, owner, _, _, _, path, *_ = line.split()
            assert owner == "root/root"
            right = "lrwxrwxrwx" if mode[0] == "l" else "drwxr-xr-x" if path.endswith("/") else "-rwxr-xr-x" if path.endswith(".sh") else "-rw-r--r--"
            assert mode == right, line
            assert re.fullmatch(rf"\./({places[name]})?", path), line


def test_removal_leaves_nothing(packages):
    root = Root(packages[DEV].parent / "removed")
    root.dpkg("--install", packages[DEV], packages[DOC])
    assert root.files() > root.fresh
    root.dpkg("--remove", DEV, DOC)
    assert root.files() == root.fresh


def test_headers_and_documents(unpacked):
    files = lambda top: {path.relative_to(top): path.read_bytes() for path in top.rglob("*") if path.is_file()}
    assert files(unpacked / "usr/include") == files(SOURCE / "include")
    documents = unpacked / DOCUMENTS
    for name in ("README.md", "CHANGELOG.md", "docs/install.md"):
        assert (documents / name).read_bytes() == (SOURCE / name).read_bytes()
    for name in (DEV, DOC, RUNTIME):
        assert "/usr/share/common-licenses/Apache-2.0" in (documents.parent / name / "copyright").read_text()
        assert gzip.decompress((documents.parent / name / "changelog.gz").read_bytes()).startswith(b"libmetaflow-cpp (%b)" % VERSION.encode())
    assert (documents / "docs/tutorial/hello.cc").exists() and (documents / "docs/tutorial/CMakeLists.txt").exists()
    check_links(documents)
    for example in (SOURCE / "examples").glob("*.cc"):
        assert (documents / "examples" / example.name).read_bytes() == example.read_bytes()


def test_find_package(project, unpacked):
    project.copy("hello.cc", "find_package")
    output = project.shell("build", {"$HOME/.local": str(unpacked / "usr")})
    assert "The sum of the squares is 14.\n" in output


def test_shared_library(project, unpacked):
    project.copy("hello.cc", "find_package")
    text = (project.directory / "CMakeLists.txt").read_text()
    project.write("CMakeLists.txt", text.replace("metaflow::metaflow", "metaflow::shared"))
    output = project.shell("build", {"$HOME/.local": str(unpacked / "usr")})
    assert "The sum of the squares is 14.\n" in output
    assert "libmetaflow-cpp" in project.needed("build/hello")


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
