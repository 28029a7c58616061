// The variables that the configuration file of a project may set. The file comes with the project: from a repository,
// an archive, a colleague.
#pragma once

#include <string_view>

namespace metaflow::base {

/// Whether .metaflow/config.json may set a variable. All other variables are reserved for the files and the environment
/// of the user: they determine which code is executed (decorators, images, libraries), where data and keys go
/// (addresses, buckets, namespaces, output files), how connections are secured, and the keys themselves.
bool is_allowed_in_project(std::string_view variable);

}  // namespace metaflow::base
