#include "runtime/lease_simulation.h"

#include <algorithm>
#include <utility>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/text.h"
#include "store/exclusive.h"

namespace metaflow::runtime {

namespace {

bool is_within(const std::vector<SimMachine::Span>& spans, std::int64_t time) {
  return std::any_of(spans.begin(), spans.end(),
                     [&](const SimMachine::Span& span) { return span.from <= time && time < span.to; });
}

}  // namespace

std::int64_t SimMachine::boot_microseconds() {
  return offset + static_cast<std::int64_t>(static_cast<double>(simulation.now) * rate);
}

std::int64_t SimMachine::monotonic_microseconds() {
  std::int64_t slept = 0;
  for (const Span& span : suspended)
    slept += std::max<std::int64_t>(0, std::min(span.to, simulation.now) - std::min(span.from, simulation.now));
  return boot_microseconds() - slept;
}

std::int64_t SimMachine::wall_microseconds() {
  return simulation.now + wall_offset + (simulation.now >= jump_at ? jump : 0);
}

Simulation::~Simulation() {
  for (const auto& thread : threads_) {
    thread->quit = true;
    if (!thread->ended) resume(*thread);
    thread->thread.join();
  }
}

void Simulation::start(SimProcess& process, std::function<void()> work) {
  Thread& thread = *threads_.emplace_back(std::make_unique<Thread>());
  thread.process = &process;
  thread.work = std::move(work);
  thread.thread = std::thread([this, &thread] {
    thread.go.acquire();
    if (!thread.quit) {
      try {
        thread.work();
      } catch (const SimKilled&) {
      }
    }
    thread.ended = true;
    back_.release();
  });
  at(now, [this, &thread] { resume(thread); });
}

void Simulation::resume(Thread& thread) {
  running_ = &thread;
  thread.go.release();
  back_.acquire();
  running_ = nullptr;
}

/// The time at or after `time` at which the process runs: neither suspended nor stopped.
std::int64_t Simulation::awake(const SimProcess& process, std::int64_t time) const {
  for (bool moved = true; moved;) {
    moved = false;
    for (const auto* spans : {&std::as_const(process.machine->suspended), &process.stopped}) {
      for (const SimMachine::Span& span : *spans) {
        if (time < span.from || time >= span.to) continue;
        time = span.to;
        moved = true;
      }
    }
  }
  return time;
}

void Simulation::sleep(std::int64_t microseconds) {
  Thread& thread = *running_;
  const std::int64_t due = awake(*thread.process, now + std::max<std::int64_t>(microseconds, 1));
  at(std::max(now, std::min(due, thread.process->killed_at)), [this, &thread] { resume(thread); });
  back_.release();
  thread.go.acquire();
  if (thread.quit || is_killed()) throw SimKilled();
}

void Simulation::run(std::int64_t until) {
  while (!events_.empty() && events_.top().time <= until) {
    const Event event = events_.top();
    events_.pop();
    now = std::max(now, event.time);
    event.what();
  }
}

// --- the store

/// A request is on its way also while its machine is suspended, but not after its process has ended, which closes the
/// connection.
void SimStorage::operate(const std::string& path, std::function<void()> what) {
  const SimProcess& process = simulation_.process();
  const std::int64_t now = simulation_.now;
  if (is_within(faults_.outages, now) || is_within(process.machine->cut_off, now)) {
    simulation_.sleep(simulation_.number(1, 30) * kSimSecond);
    throw Error(ErrorCode::data_store, "no connection");
  }
  const bool slow = simulation_.chance(is_within(process.machine->slow, now) ? 60 : 3);
  const bool of_lease = path.find("/_meta") != std::string::npos;
  const std::int64_t longest = !slow ? kSimSecond / 2 : of_lease ? faults_.slowest_lease : faults_.slowest;
  const std::int64_t arrives = simulation_.number(1, longest);
  simulation_.at(now + arrives, [what = std::move(what), &process, arrival = now + arrives] {
    if (arrival < process.killed_at) what();
  });
  simulation_.sleep(arrives + simulation_.number(1, longest));
  if (simulation_.chance(1)) throw Error(ErrorCode::data_store, "the answer was lost");
}

std::vector<std::optional<base::SharedBytes>> SimStorage::get(std::span<const std::string> paths) {
  const std::vector<std::string> wanted(paths.begin(), paths.end());
  auto got = std::make_shared<std::vector<std::optional<base::SharedBytes>>>();
  operate(wanted.empty() ? "" : wanted.front(), [this, wanted, got] { *got = disk_.get(wanted); });
  return *got;
}

std::vector<std::optional<std::uint64_t>> SimStorage::sizes(std::span<const std::string> paths) {
  const std::vector<std::string> wanted(paths.begin(), paths.end());
  auto got = std::make_shared<std::vector<std::optional<std::uint64_t>>>();
  operate(wanted.front(), [this, wanted, got] { *got = disk_.sizes(wanted); });
  return *got;
}

std::vector<store::Entry> SimStorage::list(const std::string& path) {
  auto got = std::make_shared<std::vector<store::Entry>>();
  operate(path, [this, path, got] { *got = disk_.list(path); });
  return *got;
}

void SimStorage::write(SimProcess& by, const std::string& path, const std::string& content) {
  const bool is_new = !store::exists(disk_, path);
  store::put(disk_, path, content);
  if (on_write) on_write(by, path, is_new);
}

void SimStorage::put(std::span<const store::Object> objects) {
  for (const store::Object& object : objects) {
    std::string content;
    for (const auto& piece : object.content) content += base::as_text(piece);
    operate(object.path,
            [this, &by = simulation_.process(), path = object.path, content] { write(by, path, content); });
  }
}

bool SimStorage::create(const store::Object& object) {
  if (!faults_.conditional) {
    base::Clock& clock = *simulation_.process().machine;
    return store::create_by_claims(*this, object,
                                   {clock, [this](std::int64_t time) { simulation_.sleep(time); },
                                    [this] { return fmt::format("{:016x}", simulation_.random()); }});
  }
  std::string content;
  for (const auto& piece : object.content) content += base::as_text(piece);
  auto created = std::make_shared<bool>(false);
  operate(object.path, [this, &by = simulation_.process(), path = object.path, content, created] {
    *created = !store::exists(disk_, path);
    if (*created) write(by, path, content);
  });
  return *created;
}

}  // namespace metaflow::runtime
