// Renews the leases of this process, from their first moment to their last, whatever its other threads wait for.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "runtime/lease.h"
#include "store/storage.h"

namespace metaflow::runtime {

/// A thread with a storage of its own. It may be stuck in a call of that storage: nobody waits for it then. Not
/// thread-safe itself: for the thread that makes it, which must handle the signals.
class LeaseKeeper {
 public:
  using Open = std::function<std::unique_ptr<store::Storage>()>;

  /// `storage`: for giving leases back at the end; outlives this. `open`: called in the thread. The clocks of the
  /// leases outlive the thread, which may be for ever: they are static.
  LeaseKeeper(store::Storage& storage, Open open);
  /// Gives the leases back that are held, if the store still can be written.
  ~LeaseKeeper();
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

  /// Renews this one, too.
  void add(std::shared_ptr<Lease> lease);

  /// Renews all of them now instead of a while later, without waiting for it: they have something new to say.
  void renew_soon();

  /// A file descriptor: readable when a lease was lost, or is held again, until clear_event(). Lost leases of which no
  /// renewal tells, since the store does not answer, are noticed by notice(): call it every few seconds.
  int event() const;
  void clear_event();
  void notice();

  /// Whether all of them are held, now.
  bool holds() const;
  /// While that is in doubt, waits. Nothing: they are held; else the loss.
  std::optional<LeaseLoss> await_certainty();
  /// Of the first that was lost.
  std::optional<LeaseLoss> loss() const;

 private:
  struct Shared;

  store::Storage& storage_;
  std::shared_ptr<Shared> shared_;  // with the thread
};

}  // namespace metaflow::runtime
