// Making an object only if it is not there, on a store that cannot do so itself.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/clock.h"
#include "store/storage.h"

namespace metaflow::store {

/// What the claims need from outside. The clock outlives it.
struct ClaimSite {
  base::Clock& clock;
  std::function<void(std::int64_t)> pause;  // waits so many microseconds
  std::function<std::string()> token;       // a new one each time, of letters and digits
};
/// The system's pause, and random tokens.
ClaimSite claim_site(base::Clock& clock);

/// As Storage::create(), for a storage whose put() and list() see each other at once, as S3's do: whoever wants to make
/// PATH first puts a claim, PATH.claim-TOKEN, and then looks for others. Who sees none makes the object; of those that
/// see each other all but one withdraw. So of two that overlap, one sees the other at least, however slow they are.
///
/// Claims stay. One that is seen for `kTerm` without an object was left by a process that died; the object has to be on
/// its way by kLimit after its claim, or is claimed anew. Waits meanwhile.
bool create_by_claims(Storage& storage, const Object& object, const ClaimSite& site);

struct ClaimTimes {  // microseconds
  static constexpr std::int64_t kTerm = 90'000'000;
  static constexpr std::int64_t kLimit = 30'000'000;
  static constexpr std::int64_t kPause = 500'000;
};

}  // namespace metaflow::store
