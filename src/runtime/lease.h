// Who executes a run: so that two schedulers never do the same work.
//
// A lease is an object in the store, _meta/lease_WHAT.N.json below the run; the one with the highest N counts. Its
// holder renews it. A lease whose holder is gone is taken over by making the next one, which only one of several can.
//
// No clock and no host name of another machine is ever compared with one's own: clocks differ, and names are given
// twice. A lease is free if it was released, if its process has provably ended on this machine, or if the watcher
// itself has seen it unchanged for a whole term (LeaseWatch).
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

/// All times of leases, in microseconds, by clocks that count suspended time. A holder stops believing in its lease
/// kMargin before anyone may take it over. The margin is for what is on its way to the store when the holder stops
/// (one request), for its tasks, which get five seconds to end, and for clocks that do not run equally fast.
struct LeaseTimes {
  static constexpr std::int64_t kRenewEvery = 15'000'000;
  static constexpr std::int64_t kRetryEvery = 5'000'000;  // when a renewal has failed
  static constexpr std::int64_t kTerm = 90'000'000;       // a watcher's
  static constexpr std::int64_t kMargin = 30'000'000;
  static constexpr std::int64_t kHolderLimit = kTerm - kMargin;  // since the last successful renewal began
  /// A holder whose limit is over (it was suspended, or the store is away) commits nothing, and tries this long to get
  /// the lease again before it stops.
  static constexpr std::int64_t kRegain = 20'000'000;
};

/// What a lease is on: the right to execute a run.
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
  std::string boot{};       // which start of the host
  std::string pid_space{};  // containers count processes of their own
  std::int64_t pid = 0;
  std::uint64_t pid_began = 0;  // process ids come back
  std::string run{};            // what it executes: the run itself, or the one that continues it; empty: not known yet
  std::int64_t since = 0;       // microseconds since 1970, by its clock: for people
  std::int64_t renewed = 0;     // by its clock: for people, and so that each renewal differs
  std::string token{};          // of this taking of the lease
  bool released = false;

  /// "me@host (pid 4711)"
  std::string name() const;
};

/// What a process knows of itself and can see of others. Tests give their own. Thread-safe.
class ProcessTable {
 public:
  virtual ~ProcessTable() = default;
  virtual LeaseHolder self() = 0;
  /// `unknown` for a process of another machine or container.
  virtual base::ProcessState state_of(const LeaseHolder& holder) = 0;
};
ProcessTable& process_table();

/// Where leases are: all outlives who uses it.
struct LeaseSite {
  store::Storage& storage;
  base::Clock& clock;
  ProcessTable& processes = process_table();
};

/// Who holds it, unless it is known at once that nobody does. It may have died on another machine: only a LeaseWatch
/// can tell. A lease that cannot be read (a power loss cut it off) is held by somebody without a name.
std::optional<LeaseHolder> lease_holder(const LeaseSite& site, const LeaseName& name);

/// Watches a lease until it is free. Not thread-safe.
class LeaseWatch {
 public:
  LeaseWatch(const LeaseSite& site, LeaseName name) : site_(site), name_(std::move(name)) {}

  enum class State : std::uint8_t {
    free,    // nobody's, or its holder is dead
    held,    // its process was seen to live: here, or since it has changed while it was watched
    ending,  // its process, of this machine, is about to end
    silent,  // not known yet: it has not changed since it was first looked at
    // Nobody's, but not what it was: since it was first looked at somebody has continued the run, as another one.
    continued
  };
  struct View {
    State state = State::free;
    std::optional<LeaseHolder> holder{};  // the last one, dead or alive
    bool of_this_machine = false;         // its process can be seen
    int next = 0;                         // the first number that is free
    std::int64_t left = 0;                // microseconds until it is free, if it stays silent
  };
  /// Reads it. Throws Error{data_store}.
  View look();

  const LeaseSite& site() const { return site_; }
  const LeaseName& name() const { return name_; }

 private:
  bool was_continued(const LeaseHolder& holder, int number, bool is_changed) const;

  LeaseSite site_;
  LeaseName name_;
  bool looked_ = false;
  int first_ = -1;               // the number that was seen first; -1: there was none
  std::string text_{};           // what it said then
  std::int64_t first_seen_ = 0;  // by boot_microseconds()
};

/// Waits until a lease is free. Throws refuse_lease() as soon as it is known that it is held, or that somebody else was
/// faster: what that one has executed would be executed again. A process of this machine gets a moment to end, since it
/// may just have been killed. `pause`: waits so many microseconds; `told`: called once, if it may take a whole term.
void await_lease(LeaseWatch& watch, const std::function<void(std::int64_t)>& pause,
                 const std::function<void(const LeaseWatch::View&)>& told);

/// Throws Error{invalid_command}, which says who holds it.
[[noreturn]] void refuse_lease(const LeaseWatch& watch, const LeaseWatch::View& view);

/// Why a lease is held no longer.
struct LeaseLoss {
  LeaseName name;
  std::optional<LeaseHolder> to;  // who has taken it over; nothing: the store could not be reached
};

/// A lease that this process holds. Thread-safe: one thread renews it, others ask.
class Lease {
 public:
  enum class Taking : std::uint8_t {
    if_free,
    at_once  // whoever holds it
  };
  /// Takes it. Throws Error{invalid_command} like refuse_lease() if it is not free. Where it is free is known to the
  /// watch, which may have watched it for a while.
  static std::shared_ptr<Lease> take(LeaseWatch& watch, const std::string& user, const std::string& for_run,
                                     Taking how = Taking::if_free);

  /// Says that the holder lives; finds out whether it still is the holder. To be called every kRenewEvery, and after
  /// kRetryEvery if it throws Error{data_store}. Waits for the store.
  void renew(store::Storage& storage);
  /// Gives it back, unless it was lost. When no renewal is under way. Throws Error{data_store}.
  void release(store::Storage& storage);

  /// Whether it is safe to act as the holder, now. Cheap.
  bool holds() const;
  /// Once it is lost, it stays so.
  std::optional<LeaseLoss> loss() const;
  /// To be called now and then, also while a renewal is under way: notices that the limit is over for good.
  void notice();

  /// From the next renewal on it says that the run is continued as this one.
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
  std::optional<std::int64_t> noticed_ MF_GUARDED_BY(mutex_){};  // that the limit is over; monotonic
  std::optional<LeaseLoss> loss_ MF_GUARDED_BY(mutex_){};
};

}  // namespace metaflow::runtime
