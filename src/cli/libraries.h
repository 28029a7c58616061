// The versions of the libraries in a program, to check after a security advisory.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace metaflow::cli {

/// Names and versions of nettle, yaml-cpp and zlib, which are linked in; also of libcurl and the libraries that it was
/// built with, if it can be loaded here.
std::vector<std::pair<std::string, std::string>> library_versions();

}  // namespace metaflow::cli
