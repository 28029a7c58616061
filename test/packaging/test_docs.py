"""docs/install.md shows the files that these tests build, and the packages that the dev commands install."""

import re

from conftest import BLOCKS, PACKAGING, SOURCE, VERSION


def test_files():
    shown = {name: text for name, text in BLOCKS.items() if name.startswith("test/")}
    assert shown.keys() == {
        "test/packaging/hello.cc",
        "test/packaging/find_package/CMakeLists.txt",
        "test/packaging/add_subdirectory/CMakeLists.txt",
        "test/packaging/fetch_content/CMakeLists.txt",
    }
    for name, text in shown.items():
        assert text == (SOURCE / name).read_text()


def test_packages():
    packages = re.search(r"^build_packages=\((.*)\)$", (SOURCE / "dev" / "common.sh").read_text(), re.MULTILINE)[1]
    assert BLOCKS["packages"] == f"sudo apt install {packages}\n"


def test_version():
    for name in ("find_package", "shared_object"):
        assert f"find_package(metaflow-cpp {VERSION.rpartition('.')[0]} REQUIRED)" in (PACKAGING / name / "CMakeLists.txt").read_text()
    assert f"GIT_TAG v{VERSION}\n" in (PACKAGING / "fetch_content" / "CMakeLists.txt").read_text()
