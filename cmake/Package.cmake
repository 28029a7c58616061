# The Debian package: `cpack -G DEB` in the build tree.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME libmetaflow-cpp-dev)
set(CPACK_PACKAGE_VENDOR "Metaflow for C++ developers")
set(CPACK_PACKAGE_CONTACT "Metaflow for C++ developers")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "workflows in C++, stored as Metaflow stores them (development files)")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "\
Write a workflow as a C++ program: steps, artifacts that are saved by themselves, fan-out with foreach, resume after a failure.
Runs are stored in Metaflow's own layout, so that Metaflow's Python client, its notebooks and its UI read them.
.
This package has the headers, the static library, files for CMake and pkg-config, documentation and examples.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libyaml-cpp-dev, nettle-dev, zlib1g-dev")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "g++ | c++-compiler")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "cmake, pkg-config")
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
# Readable by everybody, whatever the umask of whoever packs.
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(documents share/doc/${CPACK_PACKAGE_NAME})
metaflow_install_documents(${documents} COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES cmake/debian/copyright DESTINATION ${documents} COMPONENT debian EXCLUDE_FROM_ALL)
set(CPACK_INSTALL_CMAKE_PROJECTS
  "${PROJECT_BINARY_DIR};${PROJECT_NAME};development;/;${PROJECT_BINARY_DIR};${PROJECT_NAME};debian;/")
include(CPack)
