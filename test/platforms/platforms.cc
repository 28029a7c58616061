#include "platforms/platforms.h"

#include "platforms/process/process_platform.h"

namespace metaflow {

const compute::Platforms& platforms_of_tests() {
  static const compute::Platforms kPlatforms = [] {
    std::vector<const compute::Platform*> all = compute::platforms().all();
    all.push_back(&process_platform::process_platform());
    return compute::Platforms(std::move(all));
  }();
  return kPlatforms;
}

}  // namespace metaflow
