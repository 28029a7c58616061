// Schedulers and resumers of one run, on machines that are suspended, killed, cut off and have wrong clocks. No
// scheduler commits a task after another one has taken the run over, and the run is done in the end.
// METAFLOW_LEASE_SEEDS sets the number of seeds.
#include "runtime/lease_simulation.h"

#include <gtest/gtest.h>

#include <deque>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/seeds.h"
#include "base/text.h"
#include "runtime/lease.h"
#include "runtime/lease_record.h"

namespace metaflow::runtime {
namespace {

constexpr int kTasks = 12;
constexpr std::int64_t kTrouble = 600 * kSimSecond;  // no faults after this
constexpr std::int64_t kEnd = 4 * 3600 * kSimSecond;

class World : public ProcessTable {
 public:
  World(std::uint64_t seed, bool conditional) : sim_(seed) {
    faults_.conditional = conditional;
    // A claim's object is on its way for less than a minute.
    faults_.slowest_lease = (conditional ? sim_.number(1, 90) : sim_.number(1, 45)) * kSimSecond;
    for (int i = static_cast<int>(sim_.number(0, 2)); i > 0; --i) faults_.outages.push_back(span(180));
    for (int i = 0; i < 3; ++i) make_machine();
    begin_run();
    for (int i = 1; i < 4; ++i) {  // users who resume repeatedly
      SimMachine& machine = machines_[static_cast<std::size_t>(sim_.number(0, 2))];
      sim_.at(sim_.number(1, 400) * kSimSecond, [this, &machine] { begin_resume(machine); });
    }
  }

  void check() {
    sim_.run(kEnd);
    EXPECT_EQ(violations_, "");
    EXPECT_TRUE(done_) << "the run is never done";
  }

  // What processes see of each other.
  LeaseHolder self() override {
    const SimProcess& process = sim_.process();
    LeaseHolder holder;
    holder.host = "localhost";
    holder.boot = process.machine->boot_id;
    holder.pid = process.pid;
    return holder;
  }
  base::ProcessState state_of(const LeaseHolder& holder) override {
    if (holder.boot != sim_.process().machine->boot_id) return base::ProcessState::unknown;
    const SimProcess& other = processes_.at(static_cast<std::size_t>(holder.pid));
    if (other.ended || sim_.now >= other.killed_at) return base::ProcessState::ended;
    return other.hidden ? base::ProcessState::unknown : base::ProcessState::lives;
  }

 private:
  struct Execution {
    SimProcess& process;
    SimStorage& storage;
    std::vector<std::shared_ptr<Lease>> leases{};
    bool over = false;
  };

  SimMachine::Span span(std::int64_t longest) {
    const std::int64_t from = sim_.number(0, kTrouble - longest * kSimSecond);
    return {from, from + sim_.number(1, longest * kSimSecond)};
  }

  void make_machine() {
    SimMachine& machine = machines_.emplace_back(sim_);
    machine.boot_id = fmt::format("boot {}", machines_.size());
    machine.offset = sim_.number(0, 100'000) * kSimSecond;
    machine.wall_offset = sim_.number(-5'000, 5'000) * kSimSecond;
    machine.jump_at = sim_.number(0, kTrouble);
    machine.jump = sim_.number(-600, 600) * kSimSecond;
    machine.rate = 1 + 1e-6 * static_cast<double>(sim_.number(-500, 500));
    for (int i = static_cast<int>(sim_.number(0, 2)); i > 0; --i) machine.suspended.push_back(span(200));
    for (int i = static_cast<int>(sim_.number(0, 1)); i > 0; --i) machine.cut_off.push_back(span(200));
    for (int i = static_cast<int>(sim_.number(0, 2)); i > 0; --i) machine.slow.push_back(span(300));
  }

  SimProcess& make_process(SimMachine& machine) {
    SimProcess& process = processes_.emplace_back();
    process.machine = &machine;
    process.pid = static_cast<int>(processes_.size()) - 1;
    process.hidden = sim_.chance(20);
    if (sim_.now < kTrouble) {
      if (sim_.chance(30)) process.killed_at = sim_.now + sim_.number(1, 200 * kSimSecond);
      if (sim_.chance(30)) process.stopped.push_back(span(200));
    }
    return process;
  }

  SimStorage& make_storage() {
    SimStorage& storage = storages_.emplace_back(sim_, disk_, faults_);
    storage.on_write = [this](SimProcess& by, const std::string& path, bool is_new) { written(by, path, is_new); };
    return storage;
  }

  /// Checks each write in the order in which the store sees it.
  void written(SimProcess& by, const std::string& path, bool is_new) {
    const auto parts = base::split(path, '/');  // F/RUN/task-N or F/RUN/_meta/lease_execute.N.json
    if (parts.size() == 4 && is_new && path.find(".claim-") == std::string::npos) takers_[parts[1]] = by.pid;
    if (parts.size() != 3) return;
    for (const std::string& run : {parts[1], origins_[parts[1]]}) {
      if (run.empty()) continue;
      if (takers_[run] != by.pid)
        violations_ += fmt::format("process {} commits {} at {} s, but process {} has taken run {} over\n", by.pid,
                                   path, sim_.now / kSimSecond, takers_[run], run);
    }
  }

  std::string task_path(const std::string& run, int task) { return fmt::format("F/{}/task-{}", run, task); }

  /// Renews the leases as LeaseKeeper does.
  void renew_leases(Execution& execution) {
    std::int64_t pause = LeaseTimes::kRenewEvery;
    SimStorage& own = make_storage();
    while (true) {
      for (std::int64_t slept = 0; slept < pause && !execution.over; slept += kSimSecond) sim_.sleep(kSimSecond);
      if (execution.over) return;
      pause = LeaseTimes::kRenewEvery;
      for (std::size_t i = 0; i < execution.leases.size(); ++i) {
        try {
          execution.leases[i]->renew(own);
        } catch (const Error&) {
          pause = LeaseTimes::kRetryEvery;
        }
        execution.leases[i]->notice();
      }
    }
  }

  /// Returns false if a lease is lost.
  bool may_go_on(Execution& execution) {
    while (true) {
      bool held = true;
      for (const auto& lease : execution.leases) {
        lease->notice();
        if (lease->loss()) return false;
        held = held && lease->holds();
      }
      if (held) return true;
      sim_.sleep(kSimSecond);
    }
  }

  /// Writes what only the holder may write.
  bool commit(Execution& execution, const std::string& path) {
    while (may_go_on(execution)) {
      try {
        store::put(execution.storage, path, "done");
        return true;
      } catch (const Error&) {
        sim_.sleep(kSimSecond);
      }
    }
    return false;
  }

  /// The committed tasks of a run; nothing if the lease is lost.
  std::optional<std::set<int>> read_done(Execution& execution, const std::string& run) {
    while (may_go_on(execution)) {
      try {
        std::set<int> done;
        for (int task = 0; task < kTasks; ++task)
          if (store::exists(execution.storage, task_path(run, task))) done.insert(task);
        return done;
      } catch (const Error&) {
        sim_.sleep(kSimSecond);
      }
    }
    return std::nullopt;
  }

  void execute(Execution& execution, const std::string& run, const std::set<int>& cloned) {
    for (const int task : cloned)
      if (!commit(execution, task_path(run, task))) return;
    latest_ = run;
    for (int task = 0; task < kTasks; ++task) {
      if (cloned.contains(task)) continue;
      for (std::int64_t left = sim_.number(1, 25); left > 0; left -= 5) {
        if (!may_go_on(execution)) return;
        sim_.sleep(5 * kSimSecond);
      }
      if (!commit(execution, task_path(run, task))) return;
    }
    done_ = true;
    for (const auto& lease : execution.leases) {
      try {
        lease->release(execution.storage);
      } catch (const Error&) {
      }
    }
  }

  void begin_run() {
    SimProcess& process = make_process(machines_.front());
    sim_.start(process, [this, &process] {
      SimStorage& storage = make_storage();
      Execution& execution = executions_.emplace_back(Execution{process, storage});
      take_and_execute(execution, nullptr, "");
    });
  }

  void begin_resume(SimMachine& machine) {
    if (done_) return;
    SimProcess& process = make_process(machine);
    sim_.start(process, [this, &process] {
      SimStorage& storage = make_storage();
      Execution& execution = executions_.emplace_back(Execution{process, storage});
      const std::string origin = latest_;
      LeaseWatch watch({storage, *process.machine, *this}, {"F", origin});
      try {
        await_lease(
            watch, [this](std::int64_t time) { sim_.sleep(time); }, [](const LeaseWatch::View&) {});
        take_and_execute(execution, &watch, origin);
      } catch (const Error&) {  // refused, or the store is unreachable
      }
      execution.over = process.ended = true;
    });
    // Another resume follows, whatever the result.
    sim_.at(sim_.now + sim_.number(20, 300) * kSimSecond,
            [this] { begin_resume(machines_[static_cast<std::size_t>(sim_.number(0, 2))]); });
  }

  void take_and_execute(Execution& execution, LeaseWatch* origin_watch, const std::string& origin) {
    SimProcess& process = execution.process;
    const std::string run = std::to_string(++runs_);
    try {
      if (origin_watch != nullptr) {
        execution.leases.push_back(Lease::take(*origin_watch, "me", run));
        origins_[run] = origin;
      } else {
        latest_ = run;
      }
      sim_.start(process, [this, &execution] { renew_leases(execution); });
      LeaseWatch watch({execution.storage, *process.machine, *this}, {"F", run});
      execution.leases.push_back(Lease::take(watch, "me", run));
      std::optional<std::set<int>> cloned(std::in_place);
      if (!origin.empty()) cloned = read_done(execution, origin);
      if (cloned) execute(execution, run, *cloned);
    } catch (const Error&) {
    }
    execution.over = process.ended = true;
  }

  store::MemoryStorage disk_;
  SimStorage::Faults faults_;
  std::deque<SimMachine> machines_;
  std::deque<SimProcess> processes_;
  std::deque<SimStorage> storages_;
  std::deque<Execution> executions_;
  std::map<std::string, int> takers_;           // per run: the process that made the last lease
  std::map<std::string, std::string> origins_;  // per run that continues another: its origin
  std::string latest_;                          // the run that a resume would continue
  int runs_ = 0;
  bool done_ = false;
  std::string violations_;
  Simulation sim_;  // last: ends its threads before the other members are destroyed
};

void simulate(unsigned number, bool conditional) {
  const unsigned count = base::seeds(number, "METAFLOW_LEASE_SEEDS");
  for (unsigned seed = 1; seed <= count && !testing::Test::HasFailure(); ++seed) {
    const testing::ScopedTrace trace(__FILE__, __LINE__, fmt::format("seed {}", seed));
    World(seed, conditional).check();
  }
}

TEST(LeaseSimulation, OneSchedulerAtATimeAndTheRunIsDone) { simulate(200, true); }
TEST(LeaseSimulation, StoreWithoutExclusiveCreate) { simulate(100, false); }

}  // namespace
}  // namespace metaflow::runtime
