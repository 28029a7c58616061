#include "compute/remote/attempt_results.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/helpers.h"
#include "store/mflog.h"

namespace metaflow::compute {

namespace {

constexpr std::size_t kMostTogether = 128;
constexpr std::size_t kWorthAList = 32;  // attempts of a step that were killed

/// Without its marks.
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

ResultReader::ResultReader(base::EventLoop& loop, Open open, std::size_t threads)
    : loop_(loop), open_(std::move(open)), most_threads_(threads), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!wake_) base::throw_errno("make an", "eventfd", errno);
  loop_.watch(wake_.get(), [this] { deliver(); });
}

ResultReader::~ResultReader() {
  {
    const base::MutexLock lock(mutex_);
    ending_ = true;
    orders_.clear();
  }
  changed_.notify_all();
  threads_.clear();  // joins
  loop_.unwatch(wake_.get());
  if (reading_) loop_.cancel(*reading_);
}

void ResultReader::read(const store::TaskRef& task, int attempt, bool with_log, Done done) {
  add({.task = task, .attempt = attempt, .with_log = with_log, .done = std::move(done)});
}

void ResultReader::read_killed(const store::TaskRef& task, int attempt, bool with_log, Done done) {
  add({.task = task, .attempt = attempt, .with_log = with_log, .was_killed = true, .done = std::move(done)});
}

void ResultReader::read_log(const store::TaskRef& task, int attempt, Done done) {
  add({.task = task, .attempt = attempt, .with_result = false, .with_log = true, .done = std::move(done)});
}

/// A remote store answers after a while, whatever it is asked for: everything is asked for at once.
void ResultReader::read_together(const store::FlowStore& store, std::span<const Order> orders,
                                 std::span<AttemptResult> left) {
  using store::LogSource;
  using store::Stream;
  std::map<std::pair<std::string, std::string>, std::size_t> doubtful;  // how many, by run and step
  for (const Order& order : orders) {
    if (order.was_killed) ++doubtful[{order.task.run, order.task.step}];
  }
  std::set<std::string> there;  // tasks that have left anything, of steps that are doubtful
  for (const auto& [step, count] : doubtful) {
    if (count < kWorthAList) continue;
    for (std::string& task : store.tasks(step.first, step.second))
      there.insert(store::TaskRef{step.first, step.second, std::move(task)}.path());
  }
  auto is_absent = [&](const Order& order) {
    if (!order.was_killed || doubtful.at({order.task.run, order.task.step}) < kWorthAList) return false;
    return !there.contains(order.task.path());
  };

  std::vector<store::FlowStore::AttemptObject> wanted;
  std::vector<std::function<void(std::optional<base::SharedBytes>&&)>> takers;
  auto ask = [&](const Order& order, std::string name, auto take) {
    wanted.push_back({order.task, order.attempt, std::move(name)});
    takers.emplace_back(std::move(take));
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
    if (to.report) to.done = to.report->committed;
    if (orders[i].with_result && !to.report && !is_absent(orders[i]))
      ask(orders[i], "DONE.lock", [&](Bytes&& mark) { to.done = mark.has_value(); });
    // It was committed between the answers.
    if (to.report && to.report->committed && to.data == nullptr) ask_for_data(orders[i], to);
  }
  read();
}

void ResultReader::add(Order&& order) {
  bool needs_thread = false;
  {
    const base::MutexLock lock(mutex_);
    orders_.push_back(std::move(order));
    needs_thread = orders_.size() > idle_ && threads_.size() < most_threads_;
  }
  if (needs_thread) {
    for (std::jthread& thread : base::start_helpers(1, [this] { work(); })) threads_.push_back(std::move(thread));
  }
  if (!threads_.empty()) return changed_.notify_one();
  if (!reading_) reading_ = loop_.after(0, [this] { read_here(); });
}

/// `store`: of the caller's thread, opened when it is first needed.
std::vector<AttemptResult> ResultReader::read_all(std::unique_ptr<store::FlowStore>& store,
                                                  std::span<const Order> orders) {
  std::vector<AttemptResult> left(orders.size());
  auto read = [&](std::size_t first, std::size_t count) {
    if (store == nullptr) store = open_();
    read_together(*store, orders.subspan(first, count), std::span(left).subspan(first, count));
  };
  try {
    read(0, orders.size());
  } catch (const Error&) {  // which of them cannot be read?
    for (std::size_t i = 0; i < orders.size(); ++i) {
      left[i] = {};
      try {
        read(i, 1);
      } catch (const Error& error) {
        left[i].failure = error.what();
      }
    }
  }
  return left;
}

void ResultReader::read_here() {
  reading_.reset();
  std::vector<Order> orders;
  {
    const base::MutexLock lock(mutex_);
    orders.assign(std::make_move_iterator(orders_.begin()), std::make_move_iterator(orders_.end()));
    orders_.clear();
  }
  std::vector<AttemptResult> left = read_all(own_store_, orders);
  for (std::size_t i = 0; i < orders.size(); ++i) orders[i].done(std::move(left[i]));
}

void ResultReader::work() {
  std::unique_ptr<store::FlowStore> store;
  base::MutexLock lock(mutex_);
  while (true) {
    ++idle_;
    while (!ending_ && orders_.empty()) changed_.wait(mutex_);
    --idle_;
    if (ending_) return;
    std::vector<Order> orders;
    const std::size_t share = std::clamp(orders_.size() / most_threads_, std::size_t{1}, kMostTogether);
    while (orders.size() < share) {
      orders.push_back(std::move(orders_.front()));
      orders_.pop_front();
    }
    lock.unlock();
    std::vector<AttemptResult> left = read_all(store, orders);
    lock.lock();
    for (std::size_t i = 0; i < orders.size(); ++i)
      deliveries_.push_back({std::move(orders[i].done), std::move(left[i])});
    const std::uint64_t one = 1;
    // The counter is far from full; a full one would wake the loop, too.
    [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
  }
}

void ResultReader::deliver() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t taken = ::read(wake_.get(), &count, sizeof count);
  std::deque<Delivery> ready;
  {
    const base::MutexLock lock(mutex_);
    ready.swap(deliveries_);
  }
  for (Delivery& delivery : ready) delivery.done(std::move(delivery.leftover));
}

}  // namespace metaflow::compute
