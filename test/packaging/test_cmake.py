"""By CMake: installed, as a part of the source tree, fetched."""

import json
import os
import pathlib
import shutil

import pytest

from conftest import BUILD, MORE_WARNINGS, SOURCE, VERSION, WARNINGS

# These tests check how the library becomes part of a project, not its compilation. A unity build takes a third of the time.
UNITY = "-DMETAFLOW_UNITY=ON "
LONG = os.environ.get("METAFLOW_LONG_TESTS") == "1"
RESULT = "The sum of the squares is 14.\n"


@pytest.mark.parametrize("compiler", ["g++", "clang++-16"])
def test_find_package(project, installed, compiler):
    project.environment.update(CXX=compiler, CXXFLAGS=MORE_WARNINGS, HOME=str(installed.directory))
    project.copy("hello.cc", "find_package")
    output = project.shell("build")
    assert RESULT in output and "Done!" in output
    assert project.compiler_options() == ["-isystem", f"{installed.directory}/.local/include", "-O3", "-DNDEBUG", "-std=gnu++20"]
    # metaflow_fast_start() took the C++ library in; Nettle and zlib are archives anyway.
    assert not {"libstdc++", "libgcc_s", "libnettle", "libyaml-cpp", "libz"} & project.needed("build/hello")


@pytest.mark.parametrize("sanitizers", ["address,undefined", "thread"])
@pytest.mark.parametrize("compiler", ["g++", "clang++-16"])
def test_sanitized_flow(project, installed, compiler, sanitizers):
    """A flow under a sanitizer, with the library as it is installed."""
    project.environment.update(CXX=compiler, CXXFLAGS=f"{MORE_WARNINGS} -fsanitize={sanitizers}", HOME=str(installed.directory))
    project.copy("hello.cc", "find_package")
    output = project.shell("build", UBSAN_OPTIONS="halt_on_error=1")
    assert RESULT in output and "Done!" in output


def test_find_package_version(project, installed):
    major, minor, _ = VERSION.split(".")
    project.write(
        "CMakeLists.txt",
        f"""
        cmake_minimum_required(VERSION 3.25)
        project(versions LANGUAGES CXX)
        foreach(version {int(major) + 1}.0 {major}.{int(minor) + 1} {VERSION}.1)
          find_package(metaflow-cpp ${{version}} QUIET)
          if(metaflow-cpp_FOUND)
            message(FATAL_ERROR "{VERSION} was taken for ${{version}}")
          endif()
        endforeach()
        find_package(metaflow-cpp {VERSION} EXACT REQUIRED)
        message(STATUS "found ${{metaflow-cpp_VERSION}}")
        """,
    )
    assert f"found {VERSION}\n" in project.command("cmake", "-S.", "-Bbuild", CMAKE_PREFIX_PATH=f"{installed.directory}/.local")


def system_libraries(project):
    """Where the system's libraries are, as CMake's option that hides them."""
    triplet = project.command("g++", "-print-multiarch").strip()
    return f"/usr/lib/{triplet}", f"-DCMAKE_IGNORE_PATH=/usr/lib/{triplet};/lib/{triplet};/usr/lib;/lib;/usr/lib64;/lib64"


def test_shared_where_there_are_no_archives(project, installed):
    system, hide = system_libraries(project)
    libraries = project.directory / "libraries"
    libraries.mkdir()
    for name in ("libnettle.so", "libyaml-cpp.so", "libz.so"):
        (libraries / name).symlink_to(f"{system}/{name}")
    project.copy("hello.cc", "find_package")
    options = {"cmake -S": f"cmake '{hide}' -DCMAKE_LIBRARY_PATH={libraries} -S"}
    assert RESULT in project.shell("build", options, HOME=str(installed.directory))
    assert {"libnettle", "libz"} <= project.needed("build/hello")


def test_says_what_is_missing(project, installed):
    _, hide = system_libraries(project)
    project.copy("hello.cc", "find_package")
    output = project.command("cmake", hide, "-S.", "-Bbuild", status=1, CMAKE_PREFIX_PATH=f"{installed.directory}/.local")
    words = " ".join(output.split())
    assert "Metaflow for C++ needs nettle (on Debian: nettle-dev) and yaml (on Debian: libyaml-cpp-dev) and zlib (on Debian: zlib1g-dev)." in words


@pytest.mark.parametrize("compiler", ["g++", "clang++-16"])
def test_shared_object(project, installed, compiler):
    project.environment.update(CXX=compiler, HOME=str(installed.directory))
    project.copy("shared_object")
    assert RESULT in project.shell("build")
    assert "libflow" in project.needed("build/hello")


def check_library_commands(project):
    """The sources are compiled one by one, with the standard of the library, without warnings."""
    commands = json.loads((project.directory / "build" / "compile_commands.json").read_text())
    words = {pathlib.Path(entry["file"]).name: entry["command"].split() for entry in commands if "/metaflow.dir/" in entry["command"]}
    assert len(words) > 150 and not any(name.startswith("unity_") for name in words)
    for name, command in words.items():
        assert [word for word in command if word.startswith("-std=")] == ["-std=gnu++20"], name
        assert {"-fPIC", "-w"} <= set(command), name


def link_ready_library(project):
    """Links the flow with the library that is built already, by the command of the project."""
    shutil.copy(BUILD / "libmetaflow.a", project.directory / "build" / "third_party" / "metaflow-cpp")
    link = project.command("ninja", "-C", "build", "-t", "commands", "hello").splitlines()[-1]
    project.command("sh", "-c", f"cd build && {link}")
    return project.command("build/hello", "run")


def test_precompiled_header_and_shared_library(project, installed):
    """Two programs share one precompiled header, and the package of a program has the library."""
    project.environment.update(HOME=str(installed.directory), CXXFLAGS=f"{WARNINGS} -Winvalid-pch")
    project.copy("hello.cc", "precompiled")
    assert RESULT in project.shell("build")
    assert len(list((project.directory / "build").rglob("*.gch"))) == 1
    assert "libmetaflow-cpp" in project.needed("build/hello")
    assert not {"libnettle", "libyaml-cpp", "libz"} & project.needed("build/hello")
    assert "lib/libmetaflow-cpp.so." in project.command("build/hello", "package", "list")


def test_add_subdirectory(project):
    """In a project that builds in ways which this library does not expect."""
    project.copy("hello.cc", "add_subdirectory")
    project.environment["CXXFLAGS"] = MORE_WARNINGS
    (project.directory / "third_party").mkdir()
    (project.directory / "third_party" / "metaflow-cpp").symlink_to(SOURCE)
    strange = "-DCMAKE_UNITY_BUILD=ON -DBUILD_SHARED_LIBS=ON -DCMAKE_CXX_STANDARD=17"
    if LONG:
        options = {"Release": "None", "cmake -S": f"cmake {UNITY}-DCMAKE_INTERPROCEDURAL_OPTIMIZATION=ON {strange} -S"}
        output = project.shell("build", options)
    else:
        # Compiling the library takes as long as all other tests of this page: METAFLOW_LONG_TESTS=1 compiles all of it.
        objects = "CMakeFiles/hello.dir/Unity/unity_0_cxx.cxx.o third_party/metaflow-cpp/CMakeFiles/metaflow.dir/src/base/text.cc.o"
        build = {"cmake --build build": f"cmake --build build --target {objects}", "build/hello run": "true"}
        project.shell("build", {"Release": "None", "cmake -S": f"cmake {strange} -S", **build})
        check_library_commands(project)
        output = link_ready_library(project)
    assert RESULT in output
    # Nothing of the library is installed with the project, unless it asks for it.
    project.command("cmake", "--install", "build", "--prefix", "prefix")
    assert not (project.directory / "prefix").exists()


def test_fetch_content(project):
    repository = project.directory / "repository"
    for name in ("cmake", "include", "src"):
        shutil.copytree(SOURCE / name, repository / name)
    shutil.copy(SOURCE / "CMakeLists.txt", repository)
    identity = ("-c", "user.name=Tester", "-c", "user.email=tester@example.org")
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "All"], ["tag", f"v{VERSION}"]):
        project.command("git", "-C", repository, *words)

    project.copy("hello.cc", "fetch_content")
    project.environment.update(
        CXX="clang++-16",
        CXXFLAGS=MORE_WARNINGS,
        GIT_CONFIG_COUNT="1",
        GIT_CONFIG_KEY_0=f"url.file://{repository}.insteadOf",
        GIT_CONFIG_VALUE_0="https://example.org/metaflow-cpp.git",
    )
    # What is fetched is compiled as what is a part of the source tree (above): METAFLOW_LONG_TESTS=1 does it again.
    whole = {"Release": "None", "cmake -S": f"cmake {UNITY}-S"}
    flow = {"cmake --build build": "cmake --build build --target CMakeFiles/hello.dir/hello.cc.o", "build/hello run": "true"}
    output = project.shell("build", whole if LONG else {**whole, **flow})
    assert RESULT in output or not LONG
    assert project.compiler_options() == ["-isystem", f"{project.directory}/build/_deps/metaflow-cpp-src/include", "-std=gnu++20"]
