// parallel_map on threads.
#include <atomic>
#include <condition_variable>
#include <deque>
#include <limits>
#include <mutex>
#include <thread>

#include "parallel/parallel.h"

namespace metaflow::detail {

namespace {

using parallel::Workers;

/// The failure with the lowest index.
class FirstFailure {
 public:
  /// From within a handler.
  void note(std::size_t item) {
    const std::scoped_lock lock(mutex_);
    if (item >= item_) return;
    item_ = item;
    why_ = parallel::describe_exception();
    cause_ = std::current_exception();
    failed_ = true;
  }
  bool failed() const { return failed_.load(std::memory_order_relaxed); }
  void throw_if_any() {
    if (failed()) throw ItemError(item_, why_, cause_);
  }

 private:
  std::mutex mutex_;
  std::atomic<bool> failed_{false};
  std::size_t item_ = std::numeric_limits<std::size_t>::max();
  std::string why_;
  std::exception_ptr cause_;
};

/// Items are worked on in the background, a few ahead of who asks for them.
class ThreadRun : public ParallelRun {
 public:
  ThreadRun(std::size_t count, const parallel_options& options, void* context, CallItem call)
      : count_(count),
        context_(context),
        call_(call),
        workers_(count, options),
        ahead_(2 * std::size_t{workers_.count()}) {
    for (unsigned i = 0; i < workers_.count(); ++i) threads_.emplace_back([this] { work(); });
  }
  ~ThreadRun() override { stop(); }

  std::optional<std::size_t> next() override {
    if (told_ == count_) return std::nullopt;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !done_.empty() || failure_.failed(); });
    if (failure_.failed()) {
      lock.unlock();
      stop();
      failure_.throw_if_any();
    }
    const std::size_t item = done_.front();
    done_.pop_front();
    ++told_;
    lock.unlock();
    changed_.notify_all();
    return item;
  }

 private:
  void work() {
    while (true) {
      std::size_t item = 0;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return stopped_ || begun_ == count_ || begun_ < told_ + ahead_; });
        if (stopped_ || begun_ == count_ || failure_.failed()) return;
        item = begun_++;
      }
      try {
        call_(context_, item);
      } catch (...) {
        failure_.note(item);
        const std::scoped_lock lock(mutex_);
        changed_.notify_all();
        return;
      }
      const std::scoped_lock lock(mutex_);
      done_.push_back(item);
      changed_.notify_all();
    }
  }

  void stop() {
    {
      const std::scoped_lock lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    threads_.clear();  // joins
  }

  const std::size_t count_;
  void* context_;
  CallItem call_;
  Workers workers_;
  const std::size_t ahead_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::size_t> done_;
  std::size_t begun_ = 0;
  std::size_t told_ = 0;
  bool stopped_ = false;
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
    std::vector<std::jthread> helpers;
    for (unsigned i = 1; i < workers.count(); ++i) helpers.emplace_back(work);
    work();
  }
  failure.throw_if_any();
}

}  // namespace metaflow::detail
