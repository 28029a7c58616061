# What `cmake --install` puts where: headers, archive, package for find_package(metaflow-cpp), metaflow-cpp.pc, documents.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(METAFLOW_INSTALL_CMAKEDIR ${CMAKE_INSTALL_LIBDIR}/cmake/metaflow-cpp)

install(TARGETS metaflow EXPORT metaflow-cpp
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY include/metaflow DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)

install(EXPORT metaflow-cpp NAMESPACE metaflow:: FILE metaflow-cpp-targets.cmake
  DESTINATION ${METAFLOW_INSTALL_CMAKEDIR} COMPONENT development)
# Until 1.0 a minor version may change what a flow is compiled against.
write_basic_package_version_file(metaflow-cpp-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  ${CMAKE_CURRENT_BINARY_DIR}/metaflow-cpp-config-version.cmake
  cmake/metaflow-cpp-config.cmake
  cmake/MetaflowArchives.cmake
  cmake/MetaflowFlow.cmake
  DESTINATION ${METAFLOW_INSTALL_CMAKEDIR} COMPONENT development)

# metaflow-cpp.pc finds its prefix from where it lies, so that an unpacked package works in any directory.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(METAFLOW_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
  set(METAFLOW_PC_LIBDIR ${CMAKE_INSTALL_LIBDIR})
else()
  file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
  string(REGEX REPLACE "/$" "" METAFLOW_PC_PREFIX "\${pcfiledir}/${up}")
  set(METAFLOW_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
if(IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(METAFLOW_PC_INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR})
else()
  set(METAFLOW_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
# Archives here too, if this machine has them.
set(METAFLOW_PC_WITH "")
foreach(library ${METAFLOW_NETTLE_LIBRARY} ${METAFLOW_YAML_LIBRARY} ${METAFLOW_ZLIB_LIBRARY})
  get_filename_component(directory ${library} DIRECTORY)
  get_filename_component(file ${library} NAME)
  if(NOT directory IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
    list(APPEND METAFLOW_PC_WITH "-L${directory}")
  endif()
  list(APPEND METAFLOW_PC_WITH "-l:${file}")
endforeach()
list(JOIN METAFLOW_PC_WITH " " METAFLOW_PC_WITH)
configure_file(cmake/metaflow-cpp.pc.in metaflow-cpp.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/metaflow-cpp.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)

# The documents go where the system looks for those of a package: a Debian package has its own name. Pages link to each other, so all of
# them are installed, also those for developers of the library.
function(metaflow_install_documents directory)
  install(FILES README.md ARCHITECTURE.md CONTRIBUTING.md CHANGELOG.md LICENSE DESTINATION ${directory} ${ARGN})
  install(FILES bench/README.md DESTINATION ${directory}/bench ${ARGN})
  install(DIRECTORY docs DESTINATION ${directory} ${ARGN}
    FILES_MATCHING PATTERN "*.md" PATTERN "*.yaml" PATTERN "*.json" PATTERN tutorial/*.cc PATTERN tutorial/CMakeLists.txt
    PATTERN .metaflow EXCLUDE PATTERN build EXCLUDE)
  install(PROGRAMS docs/batch/setup.sh DESTINATION ${directory}/docs/batch ${ARGN})
  install(DIRECTORY examples DESTINATION ${directory} ${ARGN}
    FILES_MATCHING PATTERN "*.cc" PATTERN CMakeLists.txt PATTERN .metaflow EXCLUDE)
endfunction()
metaflow_install_documents(${CMAKE_INSTALL_DOCDIR} COMPONENT documentation)

# What `cmake --install` needs: less than a whole build.
add_custom_target(libraries DEPENDS metaflow)
if(TARGET metaflow_shared)
  add_dependencies(libraries metaflow_shared metaflow_entry)
endif()
