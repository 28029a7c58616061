// Simulated machines: processes are threads of which one runs at a time, each machine has clocks of its own, and the
// store answers late, twice or not at all. One seed determines everything.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <semaphore>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/process.h"
#include "runtime/lease.h"
#include "store/memory/memory_storage.h"

namespace metaflow::runtime {

inline constexpr std::int64_t kSimSecond = 1'000'000;

class Simulation;

/// Its clocks differ from true time. It is suspended now and then, or cut off from the store.
struct SimMachine : public base::Clock {
  explicit SimMachine(Simulation& simulation) : simulation(simulation) {}
  std::int64_t wall_microseconds() override;
  std::int64_t monotonic_microseconds() override;
  std::int64_t boot_microseconds() override;

  struct Span {
    std::int64_t from = 0;
    std::int64_t to = 0;
  };
  Simulation& simulation;
  std::string boot_id{};
  std::int64_t offset = 0;       // of its boot clock
  std::int64_t wall_offset = 0;  // of its wall clock; jumps
  std::int64_t jump_at = 0;
  std::int64_t jump = 0;
  double rate = 1;
  std::vector<Span> suspended{};
  std::vector<Span> cut_off{};
  std::vector<Span> slow{};  // its connection to the store
};

/// A process on a machine, with its threads.
struct SimProcess {
  SimMachine* machine = nullptr;
  int pid = 0;
  std::int64_t killed_at = INT64_MAX;
  bool hidden = false;  // other processes cannot see it
  bool ended = false;
  std::vector<SimMachine::Span> stopped{};  // by SIGSTOP
};

/// Not an Error: the product must not catch it.
struct SimKilled {};

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed) : random(seed) {}
  ~Simulation();

  /// Adds a thread to a process; it starts at once.
  void start(SimProcess& process, std::function<void()> work);
  /// Schedules an event.
  void at(std::int64_t time, std::function<void()> what) { events_.push({time, next_++, std::move(what)}); }
  /// Runs until no event is left, or until the given time.
  void run(std::int64_t until);

  // For the thread that runs:
  void sleep(std::int64_t microseconds);
  SimProcess& process() const { return *running_->process; }
  bool is_killed() const { return now >= process().killed_at; }

  std::int64_t number(std::int64_t from, std::int64_t to) {
    return std::uniform_int_distribution<std::int64_t>(from, to)(random);
  }
  bool chance(int percent) { return number(1, 100) <= percent; }

  std::mt19937_64 random;
  std::int64_t now = 0;  // true time

 private:
  struct Thread {
    SimProcess* process = nullptr;
    std::function<void()> work{};
    std::binary_semaphore go{0};
    bool ended = false;
    bool quit = false;  // the simulation is over
    std::thread thread{};
  };
  struct Event {
    std::int64_t time;
    std::uint64_t order;
    std::function<void()> what;
    bool operator<(const Event& other) const { return std::tie(time, order) > std::tie(other.time, other.order); }
  };
  void resume(Thread& thread);
  std::int64_t awake(const SimProcess& process, std::int64_t time) const;

  std::priority_queue<Event> events_;
  std::uint64_t next_ = 0;
  std::vector<std::unique_ptr<Thread>> threads_;
  Thread* running_ = nullptr;
  std::binary_semaphore back_{0};
};

/// One machine's view of the store. Each operation takes effect at some moment between its begin and its end.
class SimStorage : public store::Storage {
 public:
  struct Faults {
    bool conditional = true;                  // the store can create exclusively
    std::int64_t slowest = 20'000'000;        // microseconds per operation: less than LeaseTimes::kMargin
    std::int64_t slowest_lease = 90'000'000;  // the same, for operations on leases
    std::vector<SimMachine::Span> outages{};
  };
  SimStorage(Simulation& simulation, store::MemoryStorage& disk, const Faults& faults)
      : simulation_(simulation), disk_(disk), faults_(faults) {}

  std::string_view type() const override { return "memory"; }
  const std::string& root() const override { return disk_.root(); }
  std::vector<std::optional<base::SharedBytes>> get(std::span<const std::string> paths) override;
  std::vector<std::optional<std::uint64_t>> sizes(std::span<const std::string> paths) override;
  void put(std::span<const store::Object> objects) override;
  bool create(const store::Object& object) override;
  std::vector<bool> copy(std::span<const store::Copy>) override { return {}; }
  std::vector<store::Entry> list(const std::string& path) override;
  std::string save_blob(const std::string&, store::Pieces, int) override { return {}; }
  void walk(const std::string&, const std::function<void(store::Listed&&)>&) override {}
  std::vector<std::optional<base::SharedBytes>> get_begins(std::span<const std::string>, std::size_t) override {
    return {};
  }
  void remove(std::span<const std::string>) override {}
  std::vector<bool> remove_unchanged(std::span<const store::Listed>) override { return {}; }

  /// Called when an object is written: the writer, the path, whether it is new.
  std::function<void(SimProcess&, const std::string& path, bool is_new)> on_write;

 private:
  void operate(const std::string& path, std::function<void()> what);
  void write(SimProcess& by, const std::string& path, const std::string& content);

  Simulation& simulation_;
  store::MemoryStorage& disk_;
  const Faults& faults_;
};

}  // namespace metaflow::runtime
