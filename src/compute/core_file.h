// Where the kernel puts the core file of a process that crashed.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace metaflow::compute {

/// Describes, for the user, where a core file is: the file, its directory, or the program that received it. `pattern`:
/// /proc/sys/kernel/core_pattern, see core(5); `directory`: the process's working directory; `name`: of its program.
/// Checks whether the file exists.
std::string describe_core_file(std::string_view pattern, const std::string& directory, std::string_view name,
                               pid_t pid);

}  // namespace metaflow::compute
