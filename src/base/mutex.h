// Mutexes that clang checks at compile time (-Wthread-safety): a member declares its mutex, a function the mutex that
// must be locked. Other compilers see only std::mutex.
//
//   base::Mutex mutex_;
//   int count_ MF_GUARDED_BY(mutex_) = 0;
//   void add() { const base::MutexLock lock(mutex_); ++count_; }
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define MF_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define MF_THREAD_ATTRIBUTE(x)
#endif

/// For a member: read and written with the mutex locked.
#define MF_GUARDED_BY(mutex) MF_THREAD_ATTRIBUTE(guarded_by(mutex))
/// For a function: the mutex is locked when it is called and when it returns.
#define MF_REQUIRES(...) MF_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))

namespace metaflow::base {

class MF_THREAD_ATTRIBUTE(capability("mutex")) Mutex {
 public:
  void lock() MF_THREAD_ATTRIBUTE(acquire_capability()) { mutex_.lock(); }
  void unlock() MF_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }

 private:
  friend class Condition;
  std::mutex mutex_;
};

/// Holds the lock during its lifetime, except between unlock() and lock().
class MF_THREAD_ATTRIBUTE(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) MF_THREAD_ATTRIBUTE(acquire_capability(mutex)) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() MF_THREAD_ATTRIBUTE(release_capability()) {
    if (locked_) mutex_.unlock();
  }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  void unlock() MF_THREAD_ATTRIBUTE(release_capability()) {
    locked_ = false;
    mutex_.unlock();
  }
  void lock() MF_THREAD_ATTRIBUTE(acquire_capability()) {
    mutex_.lock();
    locked_ = true;
  }

 private:
  Mutex& mutex_;
  bool locked_ = true;
};

/// A condition variable. Callers check their condition again in a loop after wait(); a predicate is not supported,
/// since clang does not check the members that a lambda reads.
class Condition {
 public:
  void wait(Mutex& mutex) MF_REQUIRES(mutex) {
    std::unique_lock lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  /// False on timeout.
  bool wait_until(Mutex& mutex, std::chrono::steady_clock::time_point end) MF_REQUIRES(mutex) {
    std::unique_lock lock(mutex.mutex_, std::adopt_lock);
    const bool woken = condition_.wait_until(lock, end) == std::cv_status::no_timeout;
    lock.release();
    return woken;
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace metaflow::base
