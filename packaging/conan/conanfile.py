"""The Conan recipe of the library: `conan create packaging/conan`. It packages the source tree that it is in."""

import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load
from conan.errors import ConanInvalidConfiguration

required_conan_version = ">=2.4"


class MetaflowCpp(ConanFile):
    name = "metaflow-cpp"
    description = "Workflows in C++, stored as Metaflow stores them"
    license = "Apache-2.0"
    topics = ("workflow", "metaflow", "kubernetes", "batch")
    package_type = "static-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"fPIC": [True]}
    default_options = {"fPIC": True, "fmt/*:header_only": True, "libcurl/*:with_ssl": False, "nettle/*:public_key": False}

    def set_version(self):
        header = load(self, os.path.join(self.recipe_folder, "..", "..", "include", "metaflow", "version.h"))
        self.version = re.search(r'METAFLOW_CPP_VERSION "(.*)"', header)[1]

    def export_sources(self):
        tree = os.path.join(self.recipe_folder, "..", "..")
        for name in ("CMakeLists.txt", "LICENSE", "README.md", "CHANGELOG.md"):
            copy(self, name, tree, self.export_sources_folder)
        for folder in ("cmake", "docs", "examples", "include", "src"):
            copy(self, "*", os.path.join(tree, folder), os.path.join(self.export_sources_folder, folder), excludes="*_test.cc")

    def requirements(self):
        # A flow is linked with these.
        self.requires("nettle/[>=3.8.1 <4]")
        self.requires("yaml-cpp/[>=0.7 <1]")
        self.requires("zlib/[>=1.2.13 <2]")
        # The library is compiled with these headers. A flow loads libcurl.so.4 of the system at run time.
        for headers in ("fmt/[>=9.1 <11]", "nlohmann_json/[>=3.11.2 <4]", "libcurl/[>=7.88 <9]"):
            self.requires(headers, libs=False, visible=False)

    def validate(self):
        check_min_cppstd(self, 20)
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration("Metaflow for C++ runs on Linux only.")

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.user_presets_path = False
        for part in ("EXAMPLES", "TESTS", "WERROR"):
            toolchain.cache_variables[f"METAFLOW_{part}"] = False
        toolchain.generate()
        CMakeDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install(component="development")
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))

    def package_info(self):
        # find_package(metaflow-cpp) finds the files of the library itself: they also have metaflow_fast_start().
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = [os.path.join("lib", "cmake", "metaflow-cpp")]
        self.cpp_info.set_property("pkg_config_name", "metaflow-cpp")
        self.cpp_info.libs = ["metaflow"]
        self.cpp_info.system_libs = ["pthread"]
        # Programs are linked with the entry of the fork server.
        self.cpp_info.exelinkflags = ["-Wl,-u,metaflow_fork_server_entry"]
