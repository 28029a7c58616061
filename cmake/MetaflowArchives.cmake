# metaflow::nettle, metaflow::yaml and metaflow::zlib: what the library, and so every flow, is linked with besides threads. Programs take the
# archives, if there are any: every task is a process that loads what it is linked to. Shared objects take shared ones, since
# a distribution's archives need not be position independent (Debian's libz.a is not).
#
# METAFLOW_NETTLE_LIBRARY, METAFLOW_YAML_LIBRARY and METAFLOW_ZLIB_LIBRARY may name other files. METAFLOW_MISSING says in words what was not found.
# This file is installed: it also runs on the machine where a flow is built.
set(METAFLOW_MISSING "")

macro(_metaflow_library name archive shared header package)
  string(TOUPPER METAFLOW_${name} _metaflow_variable)
  find_library(${_metaflow_variable}_LIBRARY NAMES ${archive} ${shared} DOC "${name}, for programs")
  find_library(${_metaflow_variable}_SHARED_LIBRARY NAMES ${shared} ${archive} DOC "${name}, for shared objects")
  find_path(${_metaflow_variable}_INCLUDE_DIR NAMES ${header} DOC "Headers of ${name}, to compile Metaflow itself")
  mark_as_advanced(${_metaflow_variable}_LIBRARY ${_metaflow_variable}_SHARED_LIBRARY ${_metaflow_variable}_INCLUDE_DIR)
  if(NOT ${_metaflow_variable}_LIBRARY OR NOT ${_metaflow_variable}_SHARED_LIBRARY)
    list(APPEND METAFLOW_MISSING "${name} (on Debian: ${package})")
  elseif(NOT TARGET metaflow::${name})
    add_library(metaflow::${name} INTERFACE IMPORTED)
    # The type is that of the target which is being linked in the end.
    set(_metaflow_shared "$<IN_LIST:$<TARGET_PROPERTY:TYPE>,SHARED_LIBRARY;MODULE_LIBRARY>")
    set_target_properties(metaflow::${name} PROPERTIES INTERFACE_LINK_LIBRARIES
      "$<IF:${_metaflow_shared},${${_metaflow_variable}_SHARED_LIBRARY},${${_metaflow_variable}_LIBRARY}>")
    if(${_metaflow_variable}_INCLUDE_DIR)
      set_target_properties(metaflow::${name} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${${_metaflow_variable}_INCLUDE_DIR}")
    endif()
  endif()
endmacro()

_metaflow_library(nettle libnettle.a nettle nettle/sha1.h nettle-dev)
_metaflow_library(yaml libyaml-cpp.a yaml-cpp yaml-cpp/yaml.h libyaml-cpp-dev)
_metaflow_library(zlib libz.a z zlib.h zlib1g-dev)
list(JOIN METAFLOW_MISSING " and " METAFLOW_MISSING)
