#include "runtime/lease.h"

#include <algorithm>
#include <random>
#include <utility>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "runtime/lease_record.h"

namespace metaflow::runtime {

using base::ProcessState;

namespace {

struct LastLease {
  int next = 0;  // the first number that is free
  std::optional<base::SharedBytes> text{};
};

/// `from`: a number below which all leases are known to exist, or 0.
LastLease last_lease(store::Storage& storage, const LeaseName& name, int from = 0) {
  LastLease last{.next = from};
  while (auto text = store::get(storage, name.path(last.next))) {
    last.text = std::move(text);
    ++last.next;
  }
  return last;
}

LeaseHolder holder_of(std::string_view text) { return lease_from_json(text).value_or(LeaseHolder()); }

std::string lease_token() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

}  // namespace

std::optional<LeaseHolder> lease_holder(const LeaseSite& site, const LeaseName& name) {
  const LastLease last = last_lease(site.storage, name);
  if (!last.text) return std::nullopt;
  LeaseHolder holder = holder_of(last.text->text());
  if (holder.released || site.processes.state_of(holder) == ProcessState::ended) return std::nullopt;
  return holder;
}

// --- watching

/// Whether another run has continued this one; `holder` no longer holds the lease.
bool LeaseWatch::was_continued(const LeaseHolder& holder, int number, bool is_changed) const {
  if (holder.run.empty() || holder.run == name_.run) return false;  // its results are in the run itself
  return number != first_ || (holder.released && is_changed);
}

LeaseWatch::View LeaseWatch::look() {
  const std::int64_t began = site_.clock.boot_microseconds();
  const LastLease last = last_lease(site_.storage, name_, first_ < 0 ? 0 : first_);
  const int number = last.next - 1;
  const std::string_view text = last.text ? last.text->text() : "";
  const bool is_first = !std::exchange(looked_, true);
  if (is_first) {
    first_ = number;
    text_ = text;
    first_seen_ = site_.clock.boot_microseconds();  // after the read, so that the content is at least this old
  }
  View view{.next = last.next};
  if (!last.text) return view;
  const LeaseHolder holder = holder_of(text);
  view.holder = holder;
  const bool is_changed = number != first_ || text != text_;
  if (was_continued(holder, number, is_changed)) view.state = State::continued;
  if (holder.released) return view;
  const ProcessState process = site_.processes.state_of(holder);
  view.of_this_machine = process != ProcessState::unknown;
  view.left = LeaseTimes::kTerm - (is_first ? 0 : began - first_seen_);
  switch (process) {
    case ProcessState::ended: return view;
    case ProcessState::lives: view.state = State::held; return view;
    case ProcessState::ending: view.state = State::ending; return view;
    case ProcessState::unknown: break;
  }
  if (is_changed) {
    view.state = State::held;
  } else if (view.left > 0) {
    view.state = State::silent;
  }
  return view;
}

void await_lease(LeaseWatch& watch, const std::function<void(std::int64_t)>& pause,
                 const std::function<void(const LeaseWatch::View&)>& on_wait) {
  constexpr std::int64_t kMoment = 500'000;  // between a kill -9 and the end of a process
  constexpr std::int64_t kBrief = 20'000;
  constexpr std::int64_t kLookEvery = 3'000'000;
  std::int64_t waited = 0;
  bool is_waiting = false;
  while (true) {
    const LeaseWatch::View view = watch.look();
    switch (view.state) {
      case LeaseWatch::State::free: return;
      case LeaseWatch::State::continued: refuse_lease(watch, view);
      case LeaseWatch::State::held:
        if (!view.of_this_machine || waited >= kMoment) refuse_lease(watch, view);
        pause(kBrief);
        waited += kBrief;
        break;
      case LeaseWatch::State::ending:
        if (view.left <= 0) refuse_lease(watch, view);  // the process cannot exit; it may be blocked on its disk
        pause(kBrief);
        break;
      case LeaseWatch::State::silent:
        if (!std::exchange(is_waiting, true)) on_wait(view);
        pause(std::min(view.left, kLookEvery));
        break;
    }
  }
}

void refuse_lease(const LeaseWatch& watch, const LeaseWatch::View& view) {
  const LeaseName& name = watch.name();
  const LeaseHolder holder = view.holder.value_or(LeaseHolder());
  if (view.state == LeaseWatch::State::continued) {
    throw Error(
        ErrorCode::invalid_command,
        fmt::format("Run {}/{} was resumed by {} meanwhile, as run {}", name.flow, name.run, holder.name(), holder.run),
        fmt::format("`status {0}` shows its state. `resume --origin-run-id {0}` continues it.", holder.run));
  }
  const bool resumed = holder.run != name.run;
  const std::string since =
      holder.since > 0 ? fmt::format(" since {}", base::local_time(holder.since).substr(0, 19)) : "";
  const std::string as = resumed && !holder.run.empty() ? fmt::format(", as run {}", holder.run) : "";
  throw Error(ErrorCode::invalid_command,
              fmt::format("Run {}/{} is being {} by {}{}{}", name.flow, name.run, resumed ? "resumed" : "executed",
                          holder.name(), since, as),
              view.of_this_machine
                  ? fmt::format("Wait until it ends, or stop the process: kill {}", holder.pid)
                  : "Wait until it ends, or stop the process. `resume --take-over` takes over the run.");
}

// --- holding

Lease::Lease(LeaseName name, base::Clock& clock, LeaseHolder self, int number, std::int64_t began)
    : name_(std::move(name)), clock_(clock), self_(std::move(self)), number_(number), renewed_(began) {}

std::shared_ptr<Lease> Lease::take(LeaseWatch& watch, const std::string& user, const std::string& for_run, Taking how) {
  const LeaseSite& site = watch.site();
  LeaseHolder self = site.processes.self();
  self.user = user;
  self.run = for_run;
  self.token = lease_token();
  while (true) {
    const LeaseWatch::View view = watch.look();
    if (how == Taking::if_free && view.state != LeaseWatch::State::free) refuse_lease(watch, view);
    const std::int64_t began = site.clock.boot_microseconds();
    self.since = self.renewed = site.clock.wall_microseconds();
    if (store::create(site.storage, watch.name().path(view.next), lease_to_json(self)))
      return std::shared_ptr<Lease>(new Lease(watch.name(), site.clock, self, view.next, began));
  }
}

void Lease::renew(store::Storage& storage) {
  const std::int64_t began = clock_.boot_microseconds();
  LeaseHolder self;
  int number = 0;
  bool in_time = false;
  {
    const base::MutexLock lock(mutex_);
    if (loss_) return;
    // Differs from the last value even if the clock does not advance.
    self_.renewed = std::max(self_.renewed + 1, clock_.wall_microseconds());
    self = self_;
    number = number_;
    in_time = is_in_time(began);
  }
  if (in_time) {
    keep(storage, self, number, began);
  } else {
    regain(storage, self, number, began);
  }
}

/// Within the limit only `resume --take-over` can have taken the lease over.
void Lease::keep(store::Storage& storage, const LeaseHolder& self, int number, std::int64_t began) {
  const std::string paths[] = {name_.path(number), name_.path(number + 1)};
  const auto found = storage.get(paths);
  if (found[1]) return lose(holder_of(last_lease(storage, name_, number + 1).text.value_or(*found[1]).text()));
  if (!found[0]) throw Error(ErrorCode::data_store, fmt::format("The lease '{}' is no longer in the store", paths[0]));
  if (const LeaseHolder there = holder_of(found[0]->text()); there.token != self.token) return lose(there);
  store::put(storage, paths[0], lease_to_json(self));
  const std::int64_t now = clock_.boot_microseconds();
  const base::MutexLock lock(mutex_);
  // Too late: a watcher may have seen no change for a whole term. Making the next number decides.
  if (!is_in_time(now)) return;
  renewed_ = began;
  noticed_.reset();
}

/// The limit is over, so others may have taken the lease over, or are about to. The first to make the next number holds
/// it.
void Lease::regain(store::Storage& storage, const LeaseHolder& self, int number, std::int64_t began) {
  const std::string path = name_.path(number + 1);
  if (store::create(storage, path, lease_to_json(self))) {
    const base::MutexLock lock(mutex_);
    number_ = number + 1;
    if (loss_) return;
    renewed_ = began;
    noticed_.reset();
    return;
  }
  const auto text = store::get(storage, path);
  if (!text) throw Error(ErrorCode::data_store, fmt::format("The lease '{}' is no longer in the store", path));
  if (const LeaseHolder there = holder_of(text->text()); there.token != self.token)
    return lose(holder_of(last_lease(storage, name_, number + 1).text.value_or(*text).text()));
  // It is ours: we made it, but the answer was lost. The time is unknown, so it does not count as a renewal.
  const base::MutexLock lock(mutex_);
  number_ = number + 1;
}

void Lease::release(store::Storage& storage) {
  std::string path;
  LeaseHolder self;
  {
    const base::MutexLock lock(mutex_);
    if (loss_ || !is_in_time(clock_.boot_microseconds())) return;
    self_.released = true;
    self = self_;
    path = name_.path(number_);
  }
  store::put(storage, path, lease_to_json(self));
}

bool Lease::holds() const {
  const base::MutexLock lock(mutex_);
  return !loss_ && is_in_time(clock_.boot_microseconds());
}

std::optional<LeaseLoss> Lease::loss() const {
  const base::MutexLock lock(mutex_);
  return loss_;
}

void Lease::notice() {
  const base::MutexLock lock(mutex_);
  if (loss_ || is_in_time(clock_.boot_microseconds())) return;
  const std::int64_t now = clock_.monotonic_microseconds();
  if (!noticed_) noticed_ = now;
  if (now - *noticed_ > LeaseTimes::kRegain) loss_ = LeaseLoss{name_, std::nullopt};
}

void Lease::lose(const std::optional<LeaseHolder>& to) {
  const base::MutexLock lock(mutex_);
  if (!loss_) loss_ = LeaseLoss{name_, to};
}

void Lease::set_run(const std::string& run) {
  const base::MutexLock lock(mutex_);
  self_.run = run;
}

LeaseHolder Lease::self() const {
  const base::MutexLock lock(mutex_);
  return self_;
}

}  // namespace metaflow::runtime
