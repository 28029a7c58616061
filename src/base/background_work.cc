#include "base/background_work.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <deque>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/background_writer.h"
#include "base/files.h"
#include "base/mutex.h"
#include "base/signals_blocked.h"

namespace metaflow::base {

namespace {

std::atomic<std::size_t> detached{0};

/// Starts the thread with all signals blocked: the main thread handles them.
bool start_thread_without_signals(const std::function<void()>& work) {
  const SignalsBlocked blocked;
  try {
    std::thread(work).detach();
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

}  // namespace

bool start_detached(std::function<void()> work) {
  ++detached;
  const bool started = start_thread_without_signals([work = std::move(work)]() mutable {
    work();
    work = nullptr;  // destroys what it owns before the thread counts as ended
    --detached;
  });
  if (!started) --detached;
  return started;
}

std::size_t detached_threads() { return detached; }

int end_process(int status) {
  if (detached == 0) return status;
  std::fflush(nullptr);
  ::_exit(status);
}

void end_process_within(std::int64_t microseconds, int status, std::string words) {
  constexpr std::int64_t kTimeout = 100'000;  // microseconds, for a reader of the words
  static std::atomic<bool> is_set{false};
  if (is_set.exchange(true)) return;
  start_thread_without_signals([=, words = std::move(words)] {
    std::this_thread::sleep_for(std::chrono::microseconds(microseconds));
    write_with_timeout(STDERR_FILENO, words, kTimeout);
    ::_exit(status);
  });
}

/// A thread releases its reference with the mutex locked, and the destructor locks the mutex afterwards. The reference
/// count provides the same order, but a flow built with ThreadSanitizer does not see it in this library.
struct BackgroundWork::Shared {
  Shared() : wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!wake) throw_errno("create", "an eventfd", errno);
  }
  static void add(std::uint64_t work, std::shared_ptr<Shared> reference) {
    Shared& shared = *reference;
    MutexLock lock(shared.mutex);
    if (shared.closed) return;  // the reference is released after the lock
    shared.finished.push_back(work);
    lock.unlock();
    // Not locked: the loop would wait for the mutex until this thread gets a processor again.
    ::eventfd_write(shared.wake.get(), 1);
    lock.lock();
    if (!shared.closed) shared.released.push_back(std::move(reference));
  }
  std::optional<std::uint64_t> take() {
    const MutexLock lock(mutex);
    released.clear();
    if (finished.empty()) return std::nullopt;
    const std::uint64_t work = finished.front();
    finished.pop_front();
    if (!finished.empty()) ::eventfd_write(wake.get(), 1);  // if this one throws, the others are delivered later
    return work;
  }
  void close() {
    const MutexLock lock(mutex);
    closed = true;
    released.clear();
  }

  Fd wake;
  Mutex mutex;
  bool closed MF_GUARDED_BY(mutex) = false;
  std::deque<std::uint64_t> finished MF_GUARDED_BY(mutex);
  std::vector<std::shared_ptr<Shared>> released MF_GUARDED_BY(mutex);  // by threads; the loop has another reference
};

BackgroundWork::BackgroundWork(EventLoop& loop) : loop_(loop), shared_(std::make_shared<Shared>()) {
  loop_.watch(shared_->wake.get(), [this] { deliver(); });
}

BackgroundWork::~BackgroundWork() {
  loop_.unwatch(shared_->wake.get());
  shared_->close();
}

void BackgroundWork::start(std::function<void()> work, std::function<void()> done) {
  const std::uint64_t id = next_++;
  done_.emplace(id, std::move(done));
  auto with_end = [work = std::move(work), shared = shared_, id]() mutable {
    work();
    work = nullptr;
    Shared::add(id, std::move(shared));
  };
  if (!start_detached(with_end)) with_end();
}

/// Delivers one of them; `done` may destroy this object.
void BackgroundWork::deliver() {
  eventfd_t count = 0;
  ::eventfd_read(shared_->wake.get(), &count);
  const auto over = shared_->take();
  if (!over) return;
  const std::function<void()> done = std::move(done_.extract(*over).mapped());
  done();
}

}  // namespace metaflow::base
