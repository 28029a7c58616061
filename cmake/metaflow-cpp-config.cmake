# find_package(metaflow-cpp): the target metaflow::metaflow, metaflow::shared if it is installed, and the functions of MetaflowFlow.cmake.
include(CMakeFindDependencyMacro)
find_dependency(Threads)

include(${CMAKE_CURRENT_LIST_DIR}/MetaflowArchives.cmake)
if(METAFLOW_MISSING)
  set(metaflow-cpp_FOUND FALSE)
  set(metaflow-cpp_NOT_FOUND_MESSAGE "Metaflow for C++ needs ${METAFLOW_MISSING}.")
  return()
endif()

include(${CMAKE_CURRENT_LIST_DIR}/MetaflowFlow.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/metaflow-cpp-targets.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/metaflow-cpp-shared.cmake OPTIONAL)
