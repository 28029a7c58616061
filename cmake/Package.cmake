# The Debian packages: `cpack -G DEB` in the build tree. libmetaflow-cpp-dev has the headers and the static library, libmetaflow-cpp-doc the
# documents. With METAFLOW_SHARED, a third one has the shared library, and the name of its soname (Debian's policy, 8.1).
set(METAFLOW_RUNTIME_PACKAGE libmetaflow-cpp${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME libmetaflow-cpp)
set(CPACK_PACKAGE_VENDOR "Metaflow for C++ developers")
set(CPACK_PACKAGE_CONTACT "Metaflow for C++ developers <metaflow-cpp@example.org>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
# Readable by everybody, whatever the umask of whoever packs.
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_COMPONENTS_ALL "")

set(summary "workflows in C++, stored as Metaflow stores them")
set(description "\
Write a workflow as a C++ program: steps, artifacts that are saved
automatically, fan-out with foreach, resume after a failure. Runs are stored
in Metaflow's own layout, so its Python client, notebooks and UI read them.
.
")

# The changelog of the packages, as Debian wants it. SOURCE_DATE_EPOCH makes the packages reproducible.
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(WRITE ${PROJECT_BINARY_DIR}/debian/changelog "\
${CPACK_PACKAGE_NAME} (${PROJECT_VERSION}) unstable; urgency=medium

  * The changes are in CHANGELOG.md of libmetaflow-cpp-doc.

 -- ${CPACK_PACKAGE_CONTACT}  ${date}
")
execute_process(COMMAND gzip -9nf ${PROJECT_BINARY_DIR}/debian/changelog ERROR_QUIET)

# metaflow_debian_package(GROUP NAME SUMMARY CONTENTS COMPONENT...): one package with these components.
macro(metaflow_debian_package group name kind contents)
  foreach(component ${ARGN} debian_${group})
    string(TOUPPER ${component} _upper)
    set(CPACK_COMPONENT_${_upper}_GROUP ${group})
    list(APPEND CPACK_COMPONENTS_ALL ${component})
  endforeach()
  string(TOUPPER ${group} _upper)
  set(CPACK_DEBIAN_${_upper}_PACKAGE_NAME ${name})
  set(CPACK_COMPONENT_GROUP_${_upper}_DISPLAY_NAME ${group})
  set(CPACK_DEBIAN_${_upper}_DESCRIPTION "${summary} (${kind})\n${description}${contents}")
  install(FILES cmake/debian/copyright ${PROJECT_BINARY_DIR}/debian/changelog.gz
    DESTINATION share/doc/${name} COMPONENT debian_${group} EXCLUDE_FROM_ALL)
endmacro()

metaflow_debian_package(dev libmetaflow-cpp-dev "development files"
  "This package has the headers, the static library, and files for CMake and\npkg-config." development)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "libyaml-cpp-dev, nettle-dev, zlib1g-dev")
set(CPACK_DEBIAN_DEV_PACKAGE_RECOMMENDS "g++ | c++-compiler")
set(CPACK_DEBIAN_DEV_PACKAGE_SUGGESTS "cmake, libmetaflow-cpp-doc, pkg-config")

metaflow_debian_package(doc libmetaflow-cpp-doc "documentation"
  "This package has the documentation and the examples.")
# Debian's policy puts them into the directory of the package that they document.
metaflow_install_documents(share/doc/libmetaflow-cpp-dev COMPONENT debian_doc EXCLUDE_FROM_ALL)
set(CPACK_DEBIAN_DOC_PACKAGE_SECTION doc)
set(CPACK_DEBIAN_DOC_PACKAGE_ARCHITECTURE all)

if(TARGET metaflow_shared)
  metaflow_debian_package(runtime ${METAFLOW_RUNTIME_PACKAGE} "shared library"
    "This package has the library that flows load." runtime)
  set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
  set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/cmake/debian/triggers)
  set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)  # CPack has it for all packages only
  set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
  # Loaded on demand: for S3, Kubernetes, AWS Batch and the metadata service.
  set(CPACK_DEBIAN_RUNTIME_PACKAGE_SUGGESTS "libcurl4")
  string(APPEND CPACK_DEBIAN_DEV_PACKAGE_DEPENDS ", ${METAFLOW_RUNTIME_PACKAGE} (= ${PROJECT_VERSION})")
endif()

include(CPack)
