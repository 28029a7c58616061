#include "store/exclusive.h"

#include <chrono>
#include <map>
#include <random>
#include <string_view>
#include <thread>
#include <vector>

#include "base/format.h"

namespace metaflow::store {

namespace {

constexpr std::string_view kClaimed = "claimed";
constexpr std::string_view kWithdrawn = "withdrawn";

/// The claims for one object, as seen by a process that wants to create it.
class Claims {
 public:
  Claims(Storage& storage, const ClaimSite& site, const std::string& path)
      : storage_(storage), site_(site), directory_(path.substr(0, path.rfind('/'))), prefix_(path + ".claim-") {}

  std::string path_of(const std::string& token) const { return prefix_ + token; }

  /// The tokens of the other processes that may be about to create it.
  std::vector<std::string> others(const std::string& mine) {
    const std::int64_t now = site_.clock.boot_microseconds();
    std::vector<std::string> tokens;
    std::vector<std::string> paths;
    for (const Entry& entry : storage_.list(directory_)) {
      const std::string path = directory_ + "/" + entry.name;
      if (!path.starts_with(prefix_) || path == path_of(mine)) continue;
      tokens.push_back(path.substr(prefix_.size()));
      paths.push_back(path);
    }
    const auto contents = storage_.get(paths);
    const std::int64_t read = site_.clock.boot_microseconds();
    std::vector<std::string> active;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (!contents[i] || contents[i]->text() != kClaimed) continue;
      const auto [seen, is_new] = first_seen_.try_emplace(tokens[i], read);
      if (is_new || now - seen->second < ClaimTimes::kTerm) active.push_back(tokens[i]);
    }
    return active;
  }

 private:
  Storage& storage_;
  const ClaimSite& site_;
  std::string directory_;
  std::string prefix_;
  std::map<std::string, std::int64_t> first_seen_;
};

}  // namespace

ClaimSite claim_site(base::Clock& clock) {
  return {clock, [](std::int64_t time) { std::this_thread::sleep_for(std::chrono::microseconds(time)); },
          [] {
            std::random_device random;
            return fmt::format("{:08x}{:08x}", random(), random());
          }};
}

bool create_by_claims(Storage& storage, const Object& object, const ClaimSite& site) {
  Claims claims(storage, site, object.path);
  while (!exists(storage, object.path)) {
    const std::string mine = site.token();
    const std::int64_t began = site.clock.boot_microseconds();
    auto in_time = [&] { return site.clock.boot_microseconds() - began <= ClaimTimes::kLimit; };
    put(storage, claims.path_of(mine), kClaimed);
    while (in_time()) {
      const std::vector<std::string> others = claims.others(mine);
      if (exists(storage, object.path)) break;
      if (others.empty() && in_time()) {
        storage.put(std::span(&object, 1));
        return true;
      }
      bool is_first = true;  // the first token wins
      for (const std::string& other : others) is_first = is_first && mine < other;
      if (!is_first) break;
      site.pause(ClaimTimes::kPause);
    }
    put(storage, claims.path_of(mine), kWithdrawn);
    site.pause(ClaimTimes::kPause);
  }
  return false;
}

}  // namespace metaflow::store
