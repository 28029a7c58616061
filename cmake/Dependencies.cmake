# What the library is made with. Archives rather than shared objects: every task is a process that loads what it is linked to.

find_package(Threads REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(fmt REQUIRED)

function(metaflow_find_archive target archive shared)
  find_library(${target}_path NAMES ${archive} ${shared} REQUIRED)
  add_library(${target} INTERFACE)
  target_link_libraries(${target} INTERFACE $<BUILD_INTERFACE:${${target}_path}>)
endfunction()

metaflow_find_archive(metaflow_nettle libnettle.a nettle)
metaflow_find_archive(metaflow_zlib libz.a z)
