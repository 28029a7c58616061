// Exclusive creation of an object, for a store that does not support it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/clock.h"
#include "store/storage.h"

namespace metaflow::store {

/// The environment of claims. The clock outlives it.
struct ClaimSite {
  base::Clock& clock;
  std::function<void(std::int64_t)> pause;  // waits so many microseconds
  std::function<std::string()> token;       // returns a new token of letters and digits
};
/// Sleeps, and makes random tokens.
ClaimSite claim_site(base::Clock& clock);

/// Does what Storage::create() does, for a storage whose put() is visible to list() at once, as in S3. A process that
/// wants to create PATH first puts a claim, PATH.claim-TOKEN, and then lists the others. If it sees none, it creates
/// the object. If several see each other, all but one withdraw. Of two overlapping processes at least one sees the
/// other, however slow they are.
///
/// Claims are not deleted. A claim that has been seen for `kTerm` without an object belongs to a process that died. A
/// process must begin to write the object within kLimit after its claim, or claim again. Blocks meanwhile.
bool create_by_claims(Storage& storage, const Object& object, const ClaimSite& site);

struct ClaimTimes {  // microseconds
  static constexpr std::int64_t kTerm = 90'000'000;
  static constexpr std::int64_t kLimit = 30'000'000;
  static constexpr std::int64_t kPause = 500'000;
};

}  // namespace metaflow::store
