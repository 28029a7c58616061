# Sources compiled together, as few compiler runs: most of what a run takes is for the headers that all include. For builds of which speed
# of making matters and speed of running does not (sanitizers, lint).
#
# Which sources are together follows from their names, so a new one moves no other. Sources that are together share their unnamed namespaces,
# too: where a name clashes, the compiler says "redefinition of", and one of both gets a name that says more.

# metaflow_unity(TARGET): TARGET is compiled in at most eight runs.
function(metaflow_unity target)
  get_target_property(sources ${target} SOURCES)
  foreach(source IN LISTS sources)
    cmake_path(ABSOLUTE_PATH source OUTPUT_VARIABLE path)
    cmake_path(RELATIVE_PATH path BASE_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE name)
    string(MD5 digest ${name})
    string(SUBSTRING ${digest} 0 1 digit)
    math(EXPR group "0x${digit} / 2")
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${group})
  endforeach()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  # An unnamed namespace in what is included is one of a source after all.
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
endfunction()
