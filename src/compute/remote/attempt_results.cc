#include "compute/remote/attempt_results.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <deque>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include <metaflow/error.h>

#include "base/background_work.h"
#include "base/files.h"
#include "base/format.h"
#include "base/mutex.h"
#include "store/mflog.h"

namespace metaflow::compute {

namespace {

constexpr std::size_t kMaxTogether = 128;  // that a thread reads at once
constexpr int kMaxFailures = 4;            // failed reads in a row
constexpr std::size_t kMinForList = 32;    // killed attempts of a step

/// Removes the marks of the log's format.
std::optional<std::string> plain_log(const std::optional<base::SharedBytes>& log) {
  if (!log) return std::nullopt;
  std::string text;
  for (const store::LogLine& line : store::merge_logs({log->text()})) {
    text += line.text;
    text += '\n';
  }
  return text;
}

}  // namespace

struct ResultReader::Shared {
  explicit Shared(Open open_store) : open(std::move(open_store)), wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!wake) base::throw_errno("make an", "eventfd", errno);
  }

  const Open open;
  std::size_t max_threads = 0;
  base::Fd wake;
  std::atomic<bool> ending{false};
  base::Mutex mutex;
  base::Condition changed;
  std::deque<Order> orders MF_GUARDED_BY(mutex);
  std::deque<std::pair<std::uint64_t, AttemptResult>> over MF_GUARDED_BY(mutex);
  std::size_t threads MF_GUARDED_BY(mutex) = 0;
  std::size_t idle MF_GUARDED_BY(mutex) = 0;
};

ResultReader::ResultReader(base::EventLoop& loop, Open open, std::size_t threads)
    : loop_(loop), max_threads_(threads), shared_(std::make_shared<Shared>(std::move(open))) {
  shared_->max_threads = threads;
  loop_.watch(shared_->wake.get(), [this] { deliver(); });
}

ResultReader::~ResultReader() {
  {
    const base::MutexLock lock(shared_->mutex);
    shared_->ending = true;
    shared_->orders.clear();
  }
  shared_->changed.notify_all();
  loop_.unwatch(shared_->wake.get());
  if (reading_) loop_.cancel(*reading_);
}

void ResultReader::read(const store::TaskRef& task, int attempt, bool with_log, Done done) {
  add({.task = task, .attempt = attempt, .with_log = with_log}, std::move(done));
}

void ResultReader::read_killed(const store::TaskRef& task, int attempt, bool with_log, Done done) {
  add({.task = task, .attempt = attempt, .with_log = with_log, .was_killed = true}, std::move(done));
}

void ResultReader::read_log(const store::TaskRef& task, int attempt, Done done) {
  add({.task = task, .attempt = attempt, .with_result = false, .with_log = true}, std::move(done));
}

/// A remote store takes a while to answer, whatever is requested: everything is requested at once.
void ResultReader::read_together(const store::FlowStore& store, std::span<const Order> orders,
                                 std::span<AttemptResult> left) {
  using store::LogSource;
  using store::Stream;
  std::map<std::pair<std::string, std::string>, std::size_t> killed;  // number of killed attempts, by run and step
  for (const Order& order : orders) {
    if (order.was_killed) ++killed[{order.task.run, order.task.step}];
  }
  std::set<std::string> there;  // tasks that left anything, of these steps
  for (const auto& [step, count] : killed) {
    if (count < kMinForList) continue;
    for (std::string& task : store.tasks(step.first, step.second))
      there.insert(store::TaskRef{step.first, step.second, std::move(task)}.path());
  }
  auto is_absent = [&](const Order& order) {
    if (!order.was_killed || killed.at({order.task.run, order.task.step}) < kMinForList) return false;
    return !there.contains(order.task.path());
  };

  std::vector<store::FlowStore::AttemptObject> wanted;
  std::vector<std::function<void(std::optional<base::SharedBytes>&&)>> takers;
  auto ask = [&](const Order& order, std::string name, auto take) {
    wanted.push_back({order.task, order.attempt, std::move(name)});
    takers.emplace_back([take = std::move(take), &to = left[static_cast<std::size_t>(&order - orders.data())]](
                            std::optional<base::SharedBytes>&& content) {
      try {
        take(std::move(content));
      } catch (const Error& error) {  // this object is damaged; the others are not affected
        to.failure = error.what();
      }
    });
  };
  auto read = [&] {
    auto contents = store.read_objects(wanted);
    for (std::size_t i = 0; i < contents.size(); ++i) takers[i](std::move(contents[i]));
    wanted.clear();
    takers.clear();
  };
  auto path_of = [](const Order& order, const char* name) {
    return fmt::format("{}/{}.{}", order.task.path(), order.attempt, name);
  };
  using Bytes = std::optional<base::SharedBytes>;
  auto ask_for_data = [&](const Order& order, AttemptResult& to) {
    ask(order, "data.json", [&](Bytes&& text) {
      if (text)
        to.data = std::make_shared<const store::TaskData>(
            store::task_data_from_json(text->text(), path_of(order, "data.json")));
    });
  };
  for (std::size_t i = 0; i < orders.size(); ++i) {
    const Order& order = orders[i];
    AttemptResult& to = left[i];
    if (is_absent(order)) continue;
    if (order.with_result) {
      ask(order, "exit.json", [&](Bytes&& text) {
        if (text) to.report = store::exit_report_from_json(text->text(), path_of(order, "exit.json"));
      });
      ask_for_data(order, to);
    }
    if (order.with_log) {
      ask(order, store::log_name(LogSource::task, Stream::out), [&](Bytes&& log) { to.out = plain_log(log); });
      ask(order, store::log_name(LogSource::task, Stream::err), [&](Bytes&& log) { to.err = plain_log(log); });
    }
  }
  read();
  for (std::size_t i = 0; i < orders.size(); ++i) {
    AttemptResult& to = left[i];
    if (!to.failure.empty()) continue;
    if (to.report) to.done = to.report->committed;
    if (orders[i].with_result && !to.report && !is_absent(orders[i]))
      ask(orders[i], "DONE.lock", [&](Bytes&& mark) { to.done = mark.has_value(); });
    // It was committed between the two answers.
    if (to.report && to.report->committed && to.data == nullptr) ask_for_data(orders[i], to);
  }
  read();
  for (AttemptResult& to : left) {
    if (!to.failure.empty()) to = {.failure = std::move(to.failure)};
  }
}

void ResultReader::add(Order&& order, Done done) {
  order.id = next_order_++;
  done_.emplace(order.id, std::move(done));
  bool needs_thread = false;
  bool has_no_thread = false;
  {
    const base::MutexLock lock(shared_->mutex);
    shared_->orders.push_back(std::move(order));
    needs_thread = shared_->orders.size() > shared_->idle && shared_->threads < max_threads_;
    if (needs_thread) ++shared_->threads;
  }
  if (needs_thread && !base::start_detached([shared = shared_] { work(*shared); })) {
    const base::MutexLock lock(shared_->mutex);
    has_no_thread = --shared_->threads == 0;
  }
  if (max_threads_ > 0 && !has_no_thread) return shared_->changed.notify_one();
  if (!reading_) reading_ = loop_.after(0, [this] { read_here(); });
}

/// `store`: of the calling thread, opened when it is first needed.
std::vector<AttemptResult> ResultReader::read_all(Shared& shared, std::unique_ptr<store::FlowStore>& store,
                                                  std::span<const Order> orders) {
  std::vector<AttemptResult> left(orders.size());
  auto read = [&](std::size_t first, std::size_t count) {
    if (store == nullptr) store = shared.open();
    read_together(*store, orders.subspan(first, count), std::span(left).subspan(first, count));
  };
  try {
    read(0, orders.size());
    return left;
  } catch (const Error& error) {  // find out which of them cannot be read
    if (orders.size() == 1) {
      left[0] = {.failure = error.what()};
      return left;
    }
  }
  int failures = 0;  // in a row
  for (std::size_t i = 0; i < orders.size() && !shared.ending; ++i) {
    left[i] = {};
    // Otherwise, each attempt would wait for a store that is away.
    if (failures == kMaxFailures) {
      left[i].failure = left[i - 1].failure;
      continue;
    }
    try {
      read(i, 1);
      failures = 0;
    } catch (const Error& error) {
      left[i] = {.failure = error.what()};
      ++failures;
    }
  }
  return left;
}

void ResultReader::read_here() {
  reading_.reset();
  std::vector<Order> orders;
  {
    const base::MutexLock lock(shared_->mutex);
    orders.assign(std::make_move_iterator(shared_->orders.begin()), std::make_move_iterator(shared_->orders.end()));
    shared_->orders.clear();
  }
  std::vector<AttemptResult> left = read_all(*shared_, own_store_, orders);
  for (std::size_t i = 0; i < orders.size(); ++i) deliver(orders[i].id, std::move(left[i]));
}

void ResultReader::work(Shared& shared) {
  std::unique_ptr<store::FlowStore> store;
  base::MutexLock lock(shared.mutex);
  while (true) {
    ++shared.idle;
    while (!shared.ending && shared.orders.empty()) shared.changed.wait(shared.mutex);
    --shared.idle;
    if (shared.ending) return;
    std::vector<Order> orders;
    const std::size_t share = std::clamp(shared.orders.size() / shared.max_threads, std::size_t{1}, kMaxTogether);
    while (orders.size() < share) {
      orders.push_back(std::move(shared.orders.front()));
      shared.orders.pop_front();
    }
    lock.unlock();
    std::vector<AttemptResult> left = read_all(shared, store, orders);
    lock.lock();
    for (std::size_t i = 0; i < orders.size(); ++i) shared.over.emplace_back(orders[i].id, std::move(left[i]));
    lock.unlock();
    // Not locked: the loop would wait for the mutex until this thread gets a processor again.
    ::eventfd_write(shared.wake.get(), 1);
    lock.lock();
  }
}

void ResultReader::deliver() {
  eventfd_t count = 0;
  ::eventfd_read(shared_->wake.get(), &count);
  std::deque<std::pair<std::uint64_t, AttemptResult>> ready;
  {
    const base::MutexLock lock(shared_->mutex);
    ready.swap(shared_->over);
  }
  for (auto& [order, left] : ready) deliver(order, std::move(left));
}

void ResultReader::deliver(std::uint64_t order, AttemptResult&& left) {
  const Done done = std::move(done_.extract(order).mapped());
  done(std::move(left));
}

}  // namespace metaflow::compute
