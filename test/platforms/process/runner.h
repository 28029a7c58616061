// What executes the jobs of a spool, as processes of this machine: the platform's own side, as the servers of a cluster
// are. It is no descendant of the schedulers, so jobs outlive these.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/process.h"
#include "base/timers.h"
#include "platforms/process/spool.h"

namespace metaflow::process_platform {

/// Driven by the loop, which outlives it; not thread-safe. Jobs that run are killed with it.
class Runner {
 public:
  static constexpr std::int64_t kGrace = 20'000'000;  // microseconds between SIGTERM and SIGKILL

  /// `directory`: the spool, which is made. Jobs that it says are running, and are not, were lost. Throws
  /// Error{data_store}.
  Runner(base::EventLoop& loop, base::Clock& clock, const std::string& directory);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

 private:
  struct Queued {
    std::shared_ptr<const SpooledJob> job;
    std::size_t place = 0;

    std::string id() const { return job->id(place); }
  };
  struct Running {
    Queued what;
    base::Child child;
    base::Fd log;
    SpooledState state{};
    std::optional<base::Timers::Timer> deadline{};
    std::optional<base::Timers::Timer> patience{};
  };

  void on_file(const std::string& file);
  void accept(const std::string& name);
  void start_ready();
  std::size_t running_of(const SpooledJob& job) const;
  void start(const Queued& what);
  void copy_output(Running& running, base::Fd& from);
  void on_ended(const std::string& id);
  void remove(const std::string& id);
  void stop(Running& running, SpooledState::EndedBy by);
  void write_end(const std::string& id, SpooledState state);
  std::string now();

  base::EventLoop& loop_;
  base::Clock& clock_;
  Spool spool_;
  base::Fd lock_;
  std::deque<Queued> queue_;
  std::map<std::string, std::unique_ptr<Running>> running_;  // by id
  base::Timers timers_;
  std::optional<SpoolWatch> watch_;
};

}  // namespace metaflow::process_platform
