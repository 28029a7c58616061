// Who works on a run: so that two schedulers never do the same work.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "store/storage.h"

namespace metaflow::runtime {

/// A process, so that another one can tell whether it still lives.
struct LeaseHolder {
  std::string user;
  std::string host;
  std::string boot;       // which start of the host
  std::string pid_space;  // containers count processes of their own
  std::int64_t pid = 0;
  std::uint64_t pid_began = 0;  // process ids come back
  std::string run;              // what it executes
  std::int64_t since = 0;       // microseconds since 1970
  std::int64_t renewed = 0;
  bool released = false;

  /// "me@host (pid 4711)"
  std::string name() const;
  /// Whether its process is, or was, one that this process can see.
  bool is_of_this_machine() const;
};

/// A lease on something about a run: `execute` by its scheduler, `resume` by the one that continues it.
///
/// It is an object in the store, _meta/lease_WHAT.N.json below the run; the one with the highest N counts. A dead
/// holder's lease is taken over by making the next one, which only one of several can.
class Lease {
 public:
  static constexpr std::int64_t kRenewEvery = 15'000'000;
  /// Where the holder's process cannot be asked for, it counts as dead after this long.
  static constexpr std::int64_t kExpires = 90'000'000;

  /// Who holds it now and lives; nothing if nobody.
  static std::optional<LeaseHolder> holder(store::Storage& storage, const std::string& flow, const std::string& run,
                                           const std::string& what, base::Clock& clock);
  /// Throws Error{invalid_command}, which says who holds it, if somebody does.
  static void refuse_if_held(store::Storage& storage, const std::string& flow, const std::string& run,
                             const std::string& what, base::Clock& clock);
  /// Who held it last, dead or alive.
  static std::optional<LeaseHolder> last_holder(store::Storage& storage, const std::string& flow,
                                                const std::string& run, const std::string& what);

  /// Takes it for this process. Throws like refuse_if_held.
  Lease(store::Storage& storage, const std::string& flow, const std::string& run, const std::string& what,
        const std::string& user, const std::string& for_run, base::Clock& clock);
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  /// Gives it back, if the store still can be written.
  ~Lease();

  const LeaseHolder& self() const { return self_; }

  /// Says that the holder lives. To be called every kRenewEvery. `background`: of the same storage.
  void renew(store::BackgroundStorage& background);

 private:
  store::OwnedObject object() const;

  store::Storage& storage_;
  base::Clock& clock_;
  std::string path_;
  LeaseHolder self_;
};

}  // namespace metaflow::runtime
