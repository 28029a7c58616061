// parallel_map on threads.
#include <atomic>
#include <deque>
#include <limits>
#include <thread>

#include "base/helpers.h"
#include "base/mutex.h"
#include "parallel/parallel.h"

namespace metaflow::detail {

namespace {

using base::MutexLock;
using parallel::Workers;

/// The failure with the lowest index.
class FirstFailure {
 public:
  /// Called from an exception handler.
  void note(std::size_t item) {
    const MutexLock lock(mutex_);
    if (item >= item_) return;
    item_ = item;
    why_ = parallel::describe_exception();
    cause_ = std::current_exception();
    failed_ = true;
  }
  bool failed() const { return failed_.load(std::memory_order_relaxed); }
  /// Throws the failure, which must exist.
  [[noreturn]] void rethrow() {
    const MutexLock lock(mutex_);
    throw ItemError(item_, why_, cause_);
  }

 private:
  std::atomic<bool> failed_{false};
  base::Mutex mutex_;
  std::size_t item_ MF_GUARDED_BY(mutex_) = std::numeric_limits<std::size_t>::max();
  std::string why_ MF_GUARDED_BY(mutex_);
  std::exception_ptr cause_ MF_GUARDED_BY(mutex_);
};

/// Processes items in the background, a few ahead of the caller.
class ThreadRun : public ParallelRun {
 public:
  ThreadRun(std::size_t count, const parallel_options& options, void* context, CallItem call)
      : count_(count),
        context_(context),
        call_(call),
        workers_(count, options),
        ahead_(2 * std::size_t{workers_.count()}) {
    threads_ = base::start_helpers(workers_.count(), [this] { work(); });
  }
  ~ThreadRun() override { stop(); }

  std::optional<std::size_t> next() override {
    if (threads_.empty()) return work_here();
    MutexLock lock(mutex_);
    if (returned_ == count_) return std::nullopt;
    while (done_.empty() && !failure_.failed()) changed_.wait(mutex_);
    if (failure_.failed()) {
      lock.unlock();
      stop();
      failure_.rethrow();
    }
    const std::size_t item = done_.front();
    done_.pop_front();
    ++returned_;
    lock.unlock();
    changed_.notify_all();
    return item;
  }

 private:
  /// Runs items on this thread when no thread can be started.
  std::optional<std::size_t> work_here() {
    std::size_t item = 0;
    {
      const MutexLock lock(mutex_);
      if (returned_ == count_) return std::nullopt;
      item = returned_++;
    }
    try {
      call_(context_, item);
    } catch (...) {
      failure_.note(item);
      failure_.rethrow();
    }
    return item;
  }

  void work() {
    while (true) {
      std::size_t item = 0;
      {
        MutexLock lock(mutex_);
        while (!stopped_ && begun_ != count_ && begun_ >= returned_ + ahead_) changed_.wait(mutex_);
        if (stopped_ || begun_ == count_ || failure_.failed()) return;
        item = begun_++;
      }
      try {
        call_(context_, item);
      } catch (...) {
        failure_.note(item);
        const MutexLock lock(mutex_);
        changed_.notify_all();
        return;
      }
      const MutexLock lock(mutex_);
      done_.push_back(item);
      changed_.notify_all();
    }
  }

  void stop() {
    {
      const MutexLock lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    threads_.clear();  // joins them
  }

  const std::size_t count_;
  void* context_;
  CallItem call_;
  Workers workers_;
  const std::size_t ahead_;
  base::Mutex mutex_;
  base::Condition changed_;
  std::deque<std::size_t> done_ MF_GUARDED_BY(mutex_);
  std::size_t begun_ MF_GUARDED_BY(mutex_) = 0;
  std::size_t returned_ MF_GUARDED_BY(mutex_) = 0;
  bool stopped_ MF_GUARDED_BY(mutex_) = false;
  FirstFailure failure_;
  std::vector<std::jthread> threads_;
};

}  // namespace

std::unique_ptr<ParallelRun> run_on_threads(std::size_t count, const parallel_options& options, void* context,
                                            CallItem call) {
  return std::make_unique<ThreadRun>(count, options, context, call);
}

void do_on_threads(std::size_t count, const parallel_options& options, void* context, CallItem call) {
  const Workers workers(count, options);
  FirstFailure failure;
  std::atomic<std::size_t> next{0};
  auto work = [&] {
    for (std::size_t item = next.fetch_add(1, std::memory_order_relaxed); item < count && !failure.failed();
         item = next.fetch_add(1, std::memory_order_relaxed)) {
      try {
        call(context, item);
      } catch (...) {
        failure.note(item);
      }
    }
  };
  {
    const std::vector<std::jthread> helpers = base::start_helpers(workers.count() > 1 ? workers.count() - 1 : 0, work);
    work();
  }
  if (failure.failed()) failure.rethrow();
}

}  // namespace metaflow::detail
