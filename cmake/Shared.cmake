# metaflow::shared: the library as a shared object, from the objects of metaflow::metaflow, so that it costs no compiler run.
#
# Its file is libmetaflow-cpp.so: with -lmetaflow a linker would prefer libmetaflow.so to libmetaflow.a. Until 1.0 a minor version may
# change what a flow is compiled against: the SOVERSION has both numbers.
set(entry "/fork_server_entry\\.")
add_library(metaflow_shared SHARED $<FILTER:$<TARGET_OBJECTS:metaflow>,EXCLUDE,${entry}>)
add_library(metaflow::shared ALIAS metaflow_shared)
set_target_properties(metaflow_shared PROPERTIES
  LINKER_LANGUAGE CXX EXPORT_NAME shared OUTPUT_NAME metaflow-cpp
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
target_compile_features(metaflow_shared PUBLIC cxx_std_20)
target_include_directories(metaflow_shared PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
target_link_libraries(metaflow_shared PUBLIC Threads::Threads PRIVATE metaflow::nettle metaflow::yaml metaflow::zlib)

# The part of a program that a shared object cannot have.
add_library(metaflow_entry STATIC $<FILTER:$<TARGET_OBJECTS:metaflow>,INCLUDE,${entry}>)
set_target_properties(metaflow_entry PROPERTIES LINKER_LANGUAGE CXX EXPORT_NAME entry OUTPUT_NAME metaflow-cpp-entry)
set(is_program $<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>)
target_link_libraries(metaflow_shared INTERFACE $<${is_program}:$<TARGET_NAME:metaflow_entry>>)
target_link_options(metaflow_shared INTERFACE $<${is_program}:LINKER:-u,metaflow_fork_server_entry>)

if(METAFLOW_INSTALL)
  include(GNUInstallDirs)
  # `runtime`: what a program needs that is linked already. A Debian package of its own.
  install(TARGETS metaflow_shared metaflow_entry EXPORT metaflow-cpp-shared
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT development
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
    INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(EXPORT metaflow-cpp-shared NAMESPACE metaflow:: FILE metaflow-cpp-shared.cmake
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/metaflow-cpp COMPONENT development)
endif()
