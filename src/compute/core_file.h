// Where the kernel puts the core file of a process that crashed.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace metaflow::compute {

/// For people: the file, or the directory it is in, or who took it. `pattern`: /proc/sys/kernel/core_pattern, see
/// core(5); `directory`: the one that the process was in; `name`: of its program. Looks whether there is such a file.
std::string place_of_core(std::string_view pattern, const std::string& directory, std::string_view name, pid_t pid);

}  // namespace metaflow::compute
