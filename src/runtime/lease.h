// Which process executes a run: two schedulers never do the same work.
//
// A lease is an object in the store, _meta/lease_WHAT.N.json below the run; the one with the highest N counts. Its
// holder renews it. A process takes over a lease whose holder is gone by creating number N + 1. Only one process can.
//
// A process never compares the clock or the host name of another machine with its own: clocks differ, and host names
// are not unique. A lease is free if it was released, if its process has provably ended on this machine, or if the
// watcher itself has seen it unchanged for a whole term (LeaseWatch).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/process.h"
#include "store/storage.h"

namespace metaflow::runtime {

/// All times of leases, in microseconds, by clocks that count suspended time. A holder stops acting on its lease
/// kMargin before others may take it over. The margin covers the request that is on its way to the store when the
/// holder stops, the five seconds that its tasks get to end, and clocks that do not run equally fast.
struct LeaseTimes {
  static constexpr std::int64_t kRenewEvery = 15'000'000;
  static constexpr std::int64_t kRetryEvery = 5'000'000;  // after a failed renewal
  static constexpr std::int64_t kTerm = 90'000'000;       // of a watcher
  static constexpr std::int64_t kMargin = 30'000'000;
  static constexpr std::int64_t kHolderLimit = kTerm - kMargin;  // since the last successful renewal began
  /// A holder whose limit is over (it was suspended, or the store is unreachable) commits nothing. It tries this long
  /// to regain the lease before it stops.
  static constexpr std::int64_t kRegain = 20'000'000;
};

/// The subject of a lease: the right to execute a run.
struct LeaseName {
  std::string flow;
  std::string run;
  std::string what = "execute";

  std::string path(int number) const;
};

/// A process that holds a lease.
struct LeaseHolder {
  std::string user{};
  std::string host{};
  std::string boot{};       // boot id of the host
  std::string pid_space{};  // pid namespace: containers number their processes separately
  std::int64_t pid = 0;
  std::uint64_t pid_began = 0;  // start time of the process: pids are reused
  std::string run{};            // the run it executes: this one, or the one that continues it; empty: not known yet
  std::int64_t since = 0;       // microseconds since 1970, by the holder's clock; shown to users
  std::int64_t renewed = 0;     // by the holder's clock; shown to users, and makes each renewal differ
  std::string token{};          // unique to this acquisition of the lease
  bool released = false;

  /// "me@host (pid 4711)"
  std::string name() const;
};

/// The identity of this process, and the state of others. Tests replace it. Thread-safe.
class ProcessTable {
 public:
  virtual ~ProcessTable() = default;
  virtual LeaseHolder self() = 0;
  /// `unknown` for a process of another machine or container.
  virtual base::ProcessState state_of(const LeaseHolder& holder) = 0;
};
ProcessTable& process_table();

/// Where leases are. Its members outlive every user.
struct LeaseSite {
  store::Storage& storage;
  base::Clock& clock;
  ProcessTable& processes = process_table();
};

/// The holder of the lease; nothing if it is provably free. The holder may have died on another machine: only a
/// LeaseWatch can find that out. A lease that cannot be read (a power loss truncated it) has a holder without a name.
std::optional<LeaseHolder> lease_holder(const LeaseSite& site, const LeaseName& name);

/// Watches a lease until it is free. Not thread-safe.
class LeaseWatch {
 public:
  LeaseWatch(const LeaseSite& site, LeaseName name) : site_(site), name_(std::move(name)) {}

  enum class State : std::uint8_t {
    free,    // not held, or its holder is dead
    held,    // its process is alive: seen on this machine, or the lease has changed since the first look
    ending,  // its process, on this machine, is about to end
    silent,  // unknown: the lease has not changed since the first look
    // free, but the run has changed: since the first look another process has continued it as another run
    continued
  };
  struct View {
    State state = State::free;
    std::optional<LeaseHolder> holder{};  // the last holder, dead or alive
    bool of_this_machine = false;         // the holder's process can be seen from here
    int next = 0;                         // the first number that is free
    std::int64_t left = 0;                // microseconds until the lease is free, if it stays silent
  };
  /// Reads the lease. Throws Error{data_store}.
  View look();

  const LeaseSite& site() const { return site_; }
  const LeaseName& name() const { return name_; }

 private:
  bool was_continued(const LeaseHolder& holder, int number, bool is_changed) const;

  LeaseSite site_;
  LeaseName name_;
  bool looked_ = false;
  int first_ = -1;               // the number at the first look; -1: there was no lease
  std::string text_{};           // the content at the first look
  std::int64_t first_seen_ = 0;  // by boot_microseconds()
};

/// Waits until a lease is free. Throws refuse_lease() as soon as it is known to be held, or to have been taken by
/// another process in the meantime, whose work would be executed again. A process of this machine gets a moment to end:
/// it may just have been killed. `pause`: waits so many microseconds. `on_wait`: called once, if the wait may last a
/// whole term.
void await_lease(LeaseWatch& watch, const std::function<void(std::int64_t)>& pause,
                 const std::function<void(const LeaseWatch::View&)>& on_wait);

/// Throws Error{invalid_command}, whose message names the holder.
[[noreturn]] void refuse_lease(const LeaseWatch& watch, const LeaseWatch::View& view);

/// Why a lease was lost.
struct LeaseLoss {
  LeaseName name;
  std::optional<LeaseHolder> to;  // the new holder; nothing: the store could not be reached
};

/// A lease that this process holds. Thread-safe: one thread renews it, others ask.
class Lease {
 public:
  enum class Taking : std::uint8_t {
    if_free,
    at_once  // even if another process holds it
  };
  /// Takes the lease. Throws Error{invalid_command} like refuse_lease() if it is not free; the watch decides that.
  static std::shared_ptr<Lease> take(LeaseWatch& watch, const std::string& user, const std::string& for_run,
                                     Taking how = Taking::if_free);

  /// Renews the lease, or finds out that it is lost. Called every kRenewEvery, and after kRetryEvery if it throws
  /// Error{data_store}. Waits for the store.
  void renew(store::Storage& storage);
  /// Releases the lease, unless it was lost. Not to be called during a renewal. Throws Error{data_store}.
  void release(store::Storage& storage);

  /// Whether it is safe to act as the holder now. Cheap.
  bool holds() const;
  /// A loss is permanent.
  std::optional<LeaseLoss> loss() const;
  /// Called now and then, also during a renewal: declares the lease lost when the limit is over for good.
  void notice();

  /// From the next renewal on, the lease names `run` as the run that continues this one.
  void set_run(const std::string& run);
  LeaseHolder self() const;
  const LeaseName& name() const { return name_; }

 private:
  Lease(LeaseName name, base::Clock& clock, LeaseHolder self, int number, std::int64_t began);
  void keep(store::Storage& storage, const LeaseHolder& self, int number, std::int64_t began);
  void regain(store::Storage& storage, const LeaseHolder& self, int number, std::int64_t began);
  void lose(const std::optional<LeaseHolder>& to);
  bool is_in_time(std::int64_t now) const MF_REQUIRES(mutex_) { return now - renewed_ <= LeaseTimes::kHolderLimit; }

  const LeaseName name_;
  base::Clock& clock_;
  mutable base::Mutex mutex_;
  LeaseHolder self_ MF_GUARDED_BY(mutex_);
  int number_ MF_GUARDED_BY(mutex_);
  std::int64_t renewed_ MF_GUARDED_BY(mutex_);                   // when the last successful renewal began
  std::optional<std::int64_t> noticed_ MF_GUARDED_BY(mutex_){};  // when the end of the limit was noticed; monotonic
  std::optional<LeaseLoss> loss_ MF_GUARDED_BY(mutex_){};
};

}  // namespace metaflow::runtime
