// Random histories of a store: runs of ours and of Python, clones, kills, and removals in between. What a run refers to
// is never removed; what nothing refers to is removed after two passes.
//
// METAFLOW_CLEANING_SEEDS: the number of histories.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/seeds.h"
#include "base/testing.h"
#include "base/text.h"
#include "runtime/cleaning/run_remover.h"
#include "runtime/cleaning/testing.h"
#include "runtime/lease_record.h"

namespace metaflow::runtime {
namespace {

using base::ProcessState;
using store::TaskData;
using store::TaskRef;

constexpr std::int64_t kHour = 3'600'000'000;
constexpr std::int64_t kCleaner = 1;  // its pid

class Processes : public ProcessTable {
 public:
  LeaseHolder self() override { return {.host = "here", .pid = kCleaner}; }
  ProcessState state_of(const LeaseHolder& holder) override {
    if (holder.host != "here") return ProcessState::unknown;
    return alive.contains(holder.pid) ? ProcessState::lives : ProcessState::ended;
  }
  std::set<std::int64_t> alive;
};

struct Killed {};

struct SimRun {
  bool is_python = false;
  bool is_alive = true;
  bool is_here = true;  // on the host of the collector
  std::int64_t pid = 0;
  int since_begin = 0;  // actions of the world since it began
  std::uint64_t tasks = 0;
  std::set<std::string> known{};                  // keys that its tasks may pass on
  std::vector<std::vector<std::string>> saved{};  // keys per task that has no data.json yet
  std::vector<std::string> holds{};               // runs whose leases it holds
};

class World {
 public:
  explicit World(unsigned seed) : random_(seed) {}

  void play() {
    constexpr int kActions = 150;
    for (int i = 0; i < kActions && !testing::Test::HasFailure(); ++i) {
      clock_.now += static_cast<std::int64_t>(below(12 * 60)) * 60'000'000;
      renew();
      if (!chance(6)) {
        act();
        continue;
      }
      clean();
      check();
    }
    settle();
  }

 private:
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  bool chance(std::uint64_t one_in) { return below(one_in) == 0; }
  std::string value() { return fmt::format("\x80\x04value {}", below(12)); }

  SimRun* some_alive() {
    std::vector<SimRun*> alive;
    for (auto& [id, run] : runs_) {
      if (run.is_alive) alive.push_back(&run);
    }
    return alive.empty() ? nullptr : alive[below(alive.size())];
  }
  std::size_t alive() const {
    return static_cast<std::size_t>(
        std::count_if(runs_.begin(), runs_.end(), [](const auto& pair) { return pair.second.is_alive; }));
  }
  std::string id_of(const SimRun& wanted) {
    for (auto& [id, run] : runs_) {
      if (&run == &wanted) return id;
    }
    return {};
  }

  void act() {
    for (auto& [id, run] : runs_) ++run.since_begin;
    SimRun* run = some_alive();
    const std::uint64_t what = below(12);
    constexpr std::size_t kMostAlive = 8;
    if (run == nullptr || (what == 0 && alive() < kMostAlive)) return begin(chance(3));
    if (what == 1 && alive() < kMostAlive) return resume();
    if (what == 2) return end(*run);
    if (what < 7) return save(*run);
    return finish_task(*run);
  }

  // --- runs

  void write_lease(const std::string& of, const std::string& id, const SimRun& run, bool released) {
    const LeaseName name{"F", of};
    int number = 0;
    while (exists(storage_, name.path(number))) ++number;
    if (number > 0 && std::find(run.holds.begin(), run.holds.end(), of) != run.holds.end()) --number;
    const LeaseHolder holder{.host = run.is_here ? "here" : "there", .pid = run.pid, .run = id, .released = released};
    put(storage_, name.path(number), lease_to_json(holder));
  }
  void take_lease(const std::string& of, const std::string& id, SimRun& run) {
    write_lease(of, id, run, false);
    run.holds.push_back(of);
  }
  bool is_held(const std::string& of) {
    const auto holder = lease_holder(site_, {"F", of});
    return holder && (holder->host == "here" || holder->run.empty() || runs_[holder->run].is_alive);
  }
  void renew() {
    for (auto& [id, run] : runs_) {
      if (!run.is_alive) continue;
      // A task of Python that runs for weeks writes a log now and then.
      if (run.is_python && chance(4)) put(storage_, fmt::format("F/{}/work/0/0.task_stdout.log", id), "line");
      for (const std::string& of : run.holds) write_lease(of, id, run, false);
    }
  }

  void begin(bool is_python) {
    const std::string id = fmt::format("{}", 1'000 + next_);
    SimRun& run = runs_[id];
    run = {.is_python = is_python, .is_here = chance(2), .pid = 100 + next_};
    ++next_;
    if (is_python) {
      store_.begin_attempt({id, "_parameters", "0"}, 0, clock_.now);
      return;
    }
    processes_.alive.insert(run.pid);
    take_lease(id, id, run);
    write_task(id, run, "_parameters", {save_ours(value())});
  }

  void resume() {
    std::vector<std::string> origins;
    for (auto& [id, run] : runs_) {
      if (!run.is_alive && store_.has_run(id) && !is_held(id)) origins.push_back(id);
    }
    if (origins.empty()) return;
    const std::string origin = origins[below(origins.size())];
    const std::vector<std::vector<std::string>> tasks = keys_of(origin);
    begin(false);
    const std::string id = fmt::format("{}", 1'000 + next_ - 1);
    SimRun& run = runs_[id];
    take_lease(origin, id, run);
    put(storage_, fmt::format("F/{}/_meta/cloning.json", id), fmt::format(R"({{"origin": "{}"}})", origin));
    for (const auto& keys : tasks) write_task(id, run, "work", keys);  // by reference
  }

  void end(SimRun& run) {
    const std::string id = id_of(run);
    run.is_alive = false;
    run.saved.clear();
    processes_.alive.erase(run.pid);
    const bool is_killed = chance(3);
    if (is_killed) return;
    if (run.is_python) write_task(id, run, "end", {});
    for (const std::string& of : run.holds) write_lease(of, id, run, true);
  }

  // --- tasks

  std::string save_ours(const std::string& text) {
    const auto bytes = base::as_bytes(text);
    return store_.save_value(store::Pieces(&bytes, 1));
  }
  /// Writes the blob only if it does not exist, and does not renew its time.
  std::string save_as_python(const std::string& text) {
    const auto bytes = base::as_bytes(text);
    const std::string key = store::MemoryStorage(clock_).save_blob("F/data", store::Pieces(&bytes, 1), -1);
    const std::string path = store::blob_path("F/data", key);
    if (!exists(storage_, path)) put(storage_, path, text);
    return key;
  }

  void save(SimRun& run) {
    // Python needs more time from its first file to its first value than the collector for a batch of blobs.
    constexpr int kPythonsStart = 5;
    if (run.is_python && run.since_begin < kPythonsStart) return;
    if (run.saved.empty() || chance(3)) run.saved.emplace_back();
    const std::string text = value();
    run.saved[below(run.saved.size())].push_back(run.is_python ? save_as_python(text) : save_ours(text));
  }

  void finish_task(SimRun& run) {
    if (run.saved.empty()) return;
    std::vector<std::string> keys = run.saved.back();
    run.saved.pop_back();
    if (!run.known.empty() && chance(2))
      keys.push_back(*std::next(run.known.begin(), static_cast<std::ptrdiff_t>(below(run.known.size()))));
    write_task(id_of(run), run, "work", keys);
  }

  void write_task(const std::string& id, SimRun& run, const std::string& step, const std::vector<std::string>& keys) {
    const TaskRef task{id, step, fmt::format("{}", run.tasks++)};
    TaskData data;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      data.artifacts.push_back({fmt::format("a{}", i), keys[i], 1, "<class 'int'>"});
      run.known.insert(keys[i]);
      // A later task may write a value again that was removed.
      EXPECT_TRUE(exists(storage_, store::blob_path("F/data", keys[i]))) << "for run " << id;
    }
    store_.begin_attempt(task, 0, clock_.now);
    store_.write_data(task, data);
    store_.mark_done(task, 0);
  }

  // --- cleaning

  void clean() {
    processes_.alive.insert(kCleaner);
    std::uint64_t left = chance(2) ? below(60) : ~0ULL;  // operations until it is killed
    storage_.between = [this, &left] {
      if (left-- == 0) throw Killed();
      if (chance(3)) act();
    };
    try {
      if (chance(2)) remove_some();
      collect();
    } catch (const Killed&) {
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_command) << error.what();  // a run was resumed meanwhile
    }
    storage_.between = nullptr;
    processes_.alive.erase(kCleaner);
  }

  void remove_some() {
    const RunRemover remover({store_, metadata_, site_, "", "me"});
    const std::int64_t now = storage_time(store_);
    std::vector<std::string> all;
    for (auto& [id, run] : runs_) all.push_back(id);
    const auto origins = remover.origins(all);
    for (const std::string& id : all) {
      if (!chance(4) || !store_.has_run(id)) continue;
      const bool is_origin =
          std::any_of(origins.begin(), origins.end(), [&](const auto& pair) { return pair.second == id; });
      if (!is_origin && remover.obstacle(id, remover.examine(id), now, false).empty()) remover.remove(id);
    }
  }

  CollectReport collect() {
    BlobCollector collector(store_, site_);
    const CollectReport report = collector.collect({});
    const RunRemover remover({store_, metadata_, site_, "", "me"});
    for (const std::string& run : report.half_removed) {
      if (remover.obstacle(run, remover.examine(run), storage_time(store_), true).empty()) remover.remove(run);
    }
    return report;
  }

  // --- checks

  std::vector<std::vector<std::string>> keys_of(const std::string& id) {
    std::vector<std::vector<std::string>> tasks;
    for (const std::string& step : store_.steps(id)) {
      for (const std::string& task : store_.tasks(id, step)) {
        const auto data = store_.read_attempt({id, step, task}, 0);
        if (!data) continue;
        tasks.emplace_back();
        for (const auto& artifact : data->artifacts) tasks.back().push_back(artifact.key);
      }
    }
    return tasks;
  }

  std::set<std::string> check() {
    std::set<std::string> reachable;
    for (auto& [id, run] : runs_) {
      if (!store_.has_run(id)) {
        EXPECT_FALSE(run.is_alive) << "the live run " << id << " was removed";
        continue;
      }
      for (const auto& keys : keys_of(id)) {
        for (const std::string& key : keys) {
          reachable.insert(key);
          EXPECT_TRUE(exists(storage_, store::blob_path("F/data", key))) << "of run " << id;
        }
      }
    }
    return reachable;
  }

  /// When everything is quiet, two passes remove everything that nothing refers to.
  void settle() {
    for (auto& [id, run] : runs_) {
      if (run.is_alive) end(run);
    }
    clock_.now += CleaningTimes::kQuiet + kHour;
    collect();
    clock_.now += CleaningTimes::kGrace + kHour;
    const CollectReport last = collect();
    EXPECT_EQ(last.held_back, "");
    EXPECT_EQ(collect().waiting, 0U);
    const std::set<std::string> reachable = check();
    std::size_t blobs = 0;
    storage_.walk("F/data", [&](store::Listed&&) { ++blobs; });
    EXPECT_EQ(blobs, reachable.size());
    storage_.walk(
        "F", [&](store::Listed&& object) { EXPECT_FALSE(object.path.ends_with(store::kRemovedMark)) << object.path; });
  }

  std::mt19937_64 random_;
  base::FakeClock clock_;
  BusyStorage storage_{clock_};
  store::FlowStore store_{std::shared_ptr<store::Storage>(&storage_, [](store::Storage*) {}), "F"};
  Processes processes_;
  LeaseSite site_{storage_, clock_, processes_};
  NoMetadata metadata_;
  std::map<std::string, SimRun> runs_;
  std::int64_t next_ = 0;
};

TEST(CleaningSimulation, WhatARunRefersToIsKeptAndTheRestIsRemoved) {
  const unsigned count = base::seeds(10, "METAFLOW_CLEANING_SEEDS");
  for (unsigned seed = 1; seed <= count; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    World(seed).play();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace metaflow::runtime
