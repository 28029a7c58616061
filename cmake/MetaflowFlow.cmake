# metaflow_fast_start(target): links what a flow binary needs of the C++ runtime into it. A task is a process; this one starts with
# a quarter less work than one that loads libstdc++.so. Leave it out if the flow loads C++ plugins that share the runtime.
function(metaflow_fast_start target)
  target_link_options(${target} PRIVATE -static-libstdc++ -static-libgcc)
endfunction()
