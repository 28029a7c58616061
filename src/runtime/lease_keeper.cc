#include "runtime/lease_keeper.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/mutex.h"
#include "base/signals_blocked.h"

namespace metaflow::runtime {

namespace {

constexpr auto kLastCall = std::chrono::seconds(1);  // time for a renewal that is under way at the end

void signal_event(const base::Fd& fd) {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(fd.get(), &one, sizeof one);
}

void clear_event_of(const base::Fd& fd) {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(fd.get(), &count, sizeof count);
}

base::Fd make_event() { return base::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

}  // namespace

struct LeaseKeeper::Shared {
  explicit Shared(Open how) : open(std::move(how)) {}

  /// The body of the thread.
  void work();
  /// Returns true if all were renewed.
  bool renew_all();
  /// Sleeps; the time of a suspension counts. Returns false if the thread is to end.
  bool sleep(std::int64_t microseconds);
  std::vector<std::shared_ptr<Lease>> all() {
    const base::MutexLock lock(mutex);
    return leases;
  }

  const Open open;
  std::unique_ptr<store::Storage> storage{};  // the thread's
  const base::Fd event = make_event();
  const base::Fd wake = make_event();
  const base::Fd timer{::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK)};
  base::Mutex mutex{};
  base::Condition changed{};
  std::vector<std::shared_ptr<Lease>> leases MF_GUARDED_BY(mutex){};
  bool ending MF_GUARDED_BY(mutex) = false;
  bool ended MF_GUARDED_BY(mutex) = false;
  std::thread thread{};
};

bool LeaseKeeper::Shared::sleep(std::int64_t microseconds) {
  itimerspec at{};
  at.it_value = {static_cast<time_t>(microseconds / 1'000'000), static_cast<long>(microseconds % 1'000'000) * 1000};
  ::timerfd_settime(timer.get(), 0, &at, nullptr);
  std::array<pollfd, 2> waiting{pollfd{timer.get(), POLLIN, 0}, pollfd{wake.get(), POLLIN, 0}};
  // No timerfd: poll for the same time.
  ::poll(waiting.data(), waiting.size(), static_cast<int>(microseconds / 1000));
  clear_event_of(wake);
  clear_event_of(timer);
  const base::MutexLock lock(mutex);
  return !ending;
}

bool LeaseKeeper::Shared::renew_all() {
  bool good = true;
  for (const auto& lease : all()) {
    const bool held = lease->holds();
    try {
      if (storage == nullptr) storage = open();
      lease->renew(*storage);
    } catch (const Error&) {  // a lasting failure is reported when the lease is lost
      good = false;
    }
    lease->notice();
    if (held != lease->holds() || lease->loss()) signal_event(event);
  }
  return good;
}

void LeaseKeeper::Shared::work() {
  std::int64_t pause = LeaseTimes::kRenewEvery;
  while (sleep(pause)) pause = renew_all() ? LeaseTimes::kRenewEvery : LeaseTimes::kRetryEvery;
  storage.reset();
  const base::MutexLock lock(mutex);
  ended = true;
  changed.notify_all();
}

LeaseKeeper::LeaseKeeper(store::Storage& storage, Open open)
    : storage_(storage), shared_(std::make_shared<Shared>(std::move(open))) {}

void LeaseKeeper::add(std::shared_ptr<Lease> lease) {
  {
    const base::MutexLock lock(shared_->mutex);
    shared_->leases.push_back(std::move(lease));
  }
  if (shared_->thread.joinable()) return;
  const base::SignalsBlocked blocked;
  try {
    shared_->thread = std::thread([shared = shared_] { shared->work(); });
  } catch (const std::system_error& error) {
    throw Error(ErrorCode::data_store,
                std::string("Cannot start the thread that renews the lease of the run: ") + error.what(),
                "Raise the limit of processes (ulimit -u).");
  }
}

LeaseKeeper::~LeaseKeeper() {
  if (!shared_->thread.joinable()) return;
  bool ended = false;
  {
    base::MutexLock lock(shared_->mutex);
    shared_->ending = true;
    signal_event(shared_->wake);
    const auto until = std::chrono::steady_clock::now() + kLastCall;
    while (!shared_->ended && shared_->changed.wait_until(shared_->mutex, until)) {
    }
    ended = shared_->ended;
  }
  if (!ended) {  // a renewal that is still under way would undo a release
    shared_->thread.detach();
    return;
  }
  shared_->thread.join();
  for (const auto& lease : shared_->all()) {
    try {
      lease->release(storage_);
    } catch (const Error&) {
      // The lease becomes free when this process has ended.
    }
  }
}

void LeaseKeeper::renew_soon() { signal_event(shared_->wake); }

int LeaseKeeper::event() const { return shared_->event.get(); }
void LeaseKeeper::clear_event() { clear_event_of(shared_->event); }

void LeaseKeeper::notice() {
  for (const auto& lease : shared_->all()) lease->notice();
  if (!holds()) renew_soon();  // renew at once: the machine may have been suspended
}

bool LeaseKeeper::holds() const {
  for (const auto& lease : shared_->all()) {
    if (!lease->holds()) return false;
  }
  return true;
}

std::optional<LeaseLoss> LeaseKeeper::await_certainty() {
  constexpr int kLookEvery = 1000;
  while (!holds()) {
    notice();
    if (auto lost = loss()) return lost;
    pollfd changed{event(), POLLIN, 0};
    ::poll(&changed, 1, kLookEvery);
    clear_event();
  }
  return std::nullopt;
}

std::optional<LeaseLoss> LeaseKeeper::loss() const {
  for (const auto& lease : shared_->all()) {
    if (auto loss = lease->loss()) return loss;
  }
  return std::nullopt;
}

}  // namespace metaflow::runtime
