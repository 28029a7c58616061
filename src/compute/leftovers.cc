#include "compute/leftovers.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include <metaflow/error.h>

#include "store/mflog.h"

namespace metaflow::compute {

namespace {

std::optional<std::string> stored_log(const store::FlowStore& store, const store::TaskRef& task, int attempt,
                                      store::Stream stream) {
  const auto log = store.read_log(task, attempt, store::LogSource::task, stream);
  if (!log) return std::nullopt;
  std::string text;
  for (const store::LogLine& line : store::merge_logs({log->text()})) {
    text += line.text;
    text += '\n';
  }
  return text;
}

}  // namespace

LeftoverReader::LeftoverReader(base::EventLoop& loop, Open open, std::size_t threads)
    : loop_(loop), open_(std::move(open)), most_threads_(threads), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!wake_) base::throw_errno("make an", "eventfd", errno);
  loop_.watch(wake_.get(), [this] { deliver(); });
}

LeftoverReader::~LeftoverReader() {
  {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
    orders_.clear();
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  loop_.unwatch(wake_.get());
}

void LeftoverReader::read(const store::TaskRef& task, int attempt, bool with_log, Done done) {
  add({.task = task, .attempt = attempt, .with_log = with_log, .done = std::move(done)});
}

void LeftoverReader::read_log(const store::TaskRef& task, int attempt, Done done) {
  add({.task = task, .attempt = attempt, .with_result = false, .with_log = true, .done = std::move(done)});
}

void LeftoverReader::add(Order&& order) {
  bool needs_thread = false;
  {
    const std::scoped_lock lock(mutex_);
    orders_.push_back(std::move(order));
    needs_thread = orders_.size() > idle_ && threads_.size() < most_threads_;
  }
  if (needs_thread) threads_.emplace_back([this] { work(); });
  changed_.notify_one();
}

void LeftoverReader::work() {
  std::unique_ptr<store::FlowStore> store;
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    changed_.wait(lock, [this] { return ending_ || !orders_.empty(); });
    --idle_;
    if (ending_) return;
    Order order = std::move(orders_.front());
    orders_.pop_front();
    lock.unlock();
    Leftover left;
    try {
      if (store == nullptr) store = open_();
      if (order.with_result) {
        left.report = store->read_exit_report(order.task, order.attempt);
        left.done = left.report ? left.report->committed : store->is_done(order.task, order.attempt);
        if (auto data = store->read_attempt(order.task, order.attempt))
          left.data = std::make_shared<const store::TaskData>(std::move(*data));
      }
      if (order.with_log) {
        left.out = stored_log(*store, order.task, order.attempt, store::Stream::out);
        left.err = stored_log(*store, order.task, order.attempt, store::Stream::err);
      }
    } catch (const Error& error) {
      left.failure = error.what();
    }
    lock.lock();
    deliveries_.push_back({std::move(order.done), std::move(left)});
    const std::uint64_t one = 1;
    // The counter is far from full; a full one would wake the loop, too.
    [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
  }
}

void LeftoverReader::deliver() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t taken = ::read(wake_.get(), &count, sizeof count);
  std::deque<Delivery> ready;
  {
    const std::scoped_lock lock(mutex_);
    ready.swap(deliveries_);
  }
  for (Delivery& delivery : ready) delivery.done(std::move(delivery.leftover));
}

}  // namespace metaflow::compute
