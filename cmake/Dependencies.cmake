# What the library is compiled with. A project around this one may bring its own.
if(NOT TARGET nlohmann_json::nlohmann_json)
  find_package(nlohmann_json REQUIRED)
endif()
if(NOT TARGET fmt::fmt-header-only)
  find_package(fmt REQUIRED)
endif()
# Its headers only: a flow loads it when it first needs it.
find_path(METAFLOW_CURL_INCLUDE_DIR NAMES curl/curl.h DOC "Headers of libcurl, to compile Metaflow itself")
mark_as_advanced(METAFLOW_CURL_INCLUDE_DIR)
if(NOT METAFLOW_CURL_INCLUDE_DIR)
  message(FATAL_ERROR "Metaflow for C++ needs the headers of libcurl (on Debian: libcurl4-openssl-dev).")
endif()

# What a flow is linked with.
find_package(Threads REQUIRED)
include(${CMAKE_CURRENT_LIST_DIR}/MetaflowArchives.cmake)
if(METAFLOW_MISSING)
  message(FATAL_ERROR "Metaflow for C++ needs ${METAFLOW_MISSING}.")
endif()
