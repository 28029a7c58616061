#include "compute/remote/delivery.h"

#include <metaflow/error.h>

#include "base/elf.h"
#include "base/format.h"

namespace metaflow::compute {

namespace {

constexpr std::int64_t kMaxLinkLife = 7 * 24 * 3600;  // of AWS, in seconds

}  // namespace

StoredPackage store_package(store::FlowStore& store, const PackagePlan& plan) {
  const Package package = make_package(plan);
  const std::span<const std::byte> piece = package.bytes.bytes();
  const std::string key = store.save_value(store::Pieces(&piece, 1));
  store.storage().settle();
  return {store::blob_path(store.blob_directory(), key), package.sha256, plan.machine, plan.is_static, plan.size()};
}

store::Link link_to(store::FlowStore& store, const StoredPackage& package) {
  std::optional<store::Link> link = store.storage().link(package.path, kMaxLinkLife);
  if (!link) {
    throw Error(ErrorCode::data_store,
                fmt::format("The datastore {} is on this host: other hosts cannot fetch the flow from it",
                            store.storage().root()),
                "Use --datastore s3.");
  }
  return std::move(*link);
}

std::vector<std::pair<std::string, std::string>> bootstrap_variables(const StoredPackage& package) {
  return {{"MF_SHA256", package.sha256}, {"MF_MACHINE", std::string(base::uname_machine(package.machine))}};
}

}  // namespace metaflow::compute
