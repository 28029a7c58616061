"""By pkg-config, without CMake."""

import re

import pytest

from conftest import SOURCE, VERSION, WARNINGS


@pytest.mark.parametrize("compiler", ["g++", "clang++-16"])
def test_program(project, installed, compiler):
    project.environment["HOME"] = str(installed.directory)
    project.copy("hello.cc")
    # Here the headers are the user's own to the compiler: no warning in any of them.
    output = project.shell("pkg-config", {"g++": f"{compiler} {WARNINGS}"})
    assert "The sum of the squares is 14.\n" in output
    assert not {"libnettle", "libyaml-cpp", "libz"} & project.needed("hello")


def test_shared_object(project, installed):
    project.environment["HOME"] = str(installed.directory)
    project.copy("hello.cc", "shared_object")
    project.shell("shared object", {"g++": f"g++ {WARNINGS}"})
    assert {"libnettle", "libz"} <= project.needed("libflow.so")
    project.command("g++", "main.cc", "-L.", "-lflow", "-Wl,-rpath,$ORIGIN", "-o", "hello")
    assert "The sum of the squares is 14.\n" in project.command("./hello", "run")


@pytest.mark.parametrize("compiler", ["g++", "clang++-16"])
def test_older_standard_is_refused_at_once(project, compiler):
    project.copy("hello.cc")
    output = project.command(compiler, "-std=c++17", "-fsyntax-only", f"-I{SOURCE}/include", "hello.cc", status=1)
    assert "metaflow: flows are C++20: compile with -std=c++20" in output
    assert len(re.findall(r"error: ", output)) == 2  # the sentence, and the end


def test_file(project, installed):
    prefix = installed.directory / ".local"
    pkg_config = lambda *words: project.command("pkg-config", *words, "metaflow-cpp", PKG_CONFIG_PATH=f"{prefix}/lib/pkgconfig")
    assert pkg_config("--validate") == ""
    assert pkg_config("--modversion") == VERSION + "\n"
    flags = re.sub(r"/lib/pkgconfig/\.\./\.\.", "", pkg_config("--cflags", "--libs")).split()
    assert flags == [f"-I{prefix}/include", "-pthread", f"-L{prefix}/lib", "-lmetaflow", "-l:libnettle.a", "-l:libyaml-cpp.a", "-l:libz.a", "-pthread"]


def test_headers_are_installed_as_they_are(installed):
    names = lambda top: sorted(path.relative_to(top) for path in top.rglob("*") if path.is_file())
    assert names(installed.directory / ".local" / "include") == names(SOURCE / "include")
