// Renews the leases of this process as long as it runs, independently of its other threads.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "runtime/lease.h"
#include "store/storage.h"

namespace metaflow::runtime {

/// A thread with a storage of its own. A call that is stuck in that storage holds up no other thread. Not thread-safe
/// itself: used by the thread that makes it, which must handle the signals.
class LeaseKeeper {
 public:
  using Open = std::function<std::unique_ptr<store::Storage>()>;

  /// `storage`: releases the leases at the end; outlives this object. `open`: called in the thread. The clocks of the
  /// leases must be static: the thread may outlive this object.
  LeaseKeeper(store::Storage& storage, Open open);
  /// Releases the leases that are held, if the store can be written.
  ~LeaseKeeper();
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

  /// Adds a lease to those that are renewed.
  void add(std::shared_ptr<Lease> lease);

  /// Starts a renewal of all leases now, without waiting for it: their content has changed.
  void renew_soon();

  /// A file descriptor, readable when a lease was lost or is held again, until clear_event(). A loss because the store
  /// does not answer is found only by notice(): call that every few seconds.
  int event() const;
  void clear_event();
  void notice();

  /// Whether all leases are held now.
  bool holds() const;
  /// Waits while it is in doubt. Returns nothing if all are held; else the loss.
  std::optional<LeaseLoss> await_certainty();
  /// The first loss.
  std::optional<LeaseLoss> loss() const;

 private:
  struct Shared;

  store::Storage& storage_;
  std::shared_ptr<Shared> shared_;  // shared with the thread
};

}  // namespace metaflow::runtime
