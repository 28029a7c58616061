// Which versions of other libraries a program carries: what to look up after a security advisory.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace metaflow::cli {

/// Names and versions: of nettle, yaml-cpp and zlib, which are linked in, and of libcurl with what it was built with,
/// if it can be loaded here.
std::vector<std::pair<std::string, std::string>> library_versions();

}  // namespace metaflow::cli
