// How a flow gets to other hosts: its package, as a blob of the run's store, and links that fetch it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "compute/package/package.h"
#include "store/flow_store.h"

namespace metaflow::compute {

/// A stored package.
struct StoredPackage {
  std::string path;    // in the storage
  std::string sha256;  // of the stored bytes, hexadecimal
  std::uint16_t machine = 0;
  bool is_static = false;
  std::uint64_t unpacked = 0;  // bytes
};

/// Stores the package as a blob of the flow, unless it is there already. Throws Error{data_store}.
StoredPackage store_package(store::FlowStore& store, const PackagePlan& plan);

/// Makes a link that fetches a package, with the longest possible life. Throws Error{data_store} if the storage has no
/// links.
store::Link link_to(store::FlowStore& store, const StoredPackage& package);

/// Returns the variables that the scripts of bootstrap.h require, besides the link.
std::vector<std::pair<std::string, std::string>> bootstrap_variables(const StoredPackage& package);

}  // namespace metaflow::compute
