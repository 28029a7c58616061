// What the configuration file of a project may set. It comes with the project: from a repository, an archive, a
// colleague.
#pragma once

#include <string_view>

namespace metaflow::base {

/// Whether a variable may stand in .metaflow/config.json. Everything else is for the files and the environment of the
/// user alone: what code is executed (decorators, images, libraries), where data and keys go (addresses, buckets,
/// namespaces, files that are written), how connections are secured, and the keys themselves.
bool may_stand_in_project(std::string_view variable);

}  // namespace metaflow::base
