// How a flow gets to other machines: its package, as a blob of the run's store, and links that fetch it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "compute/package/package.h"
#include "store/flow_store.h"

namespace metaflow::compute {

/// A package that was stored.
struct StoredPackage {
  std::string path;    // in the storage
  std::string sha256;  // of what is there, in hexadecimal digits
  std::uint16_t machine = 0;
  bool is_static = false;
  std::uint64_t unpacked = 0;  // bytes
};

/// Stores the package as a blob of the flow; what is there already is not sent again. Throws Error{data_store}.
StoredPackage store_package(store::FlowStore& store, const PackagePlan& plan);

/// A link that fetches a package, for as long as links may live. Throws Error{data_store} if the storage has none.
store::Link link_to(store::FlowStore& store, const StoredPackage& package);

/// What the scripts of bootstrap.h need besides the link.
std::vector<std::pair<std::string, std::string>> bootstrap_variables(const StoredPackage& package);

}  // namespace metaflow::compute
