// Attempts as jobs of a spool.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/timers.h"
#include "compute/remote/remote_jobs.h"
#include "platforms/process/spool.h"
#include "store/flow_store.h"

namespace metaflow::process_platform {

/// What a step asks for.
struct JobRequest {
  int slots = 0;           // see SpooledJob
  std::int64_t limit = 0;  // microseconds; 0: as the step's own limit says
};

struct ProcessOptions {
  std::string spool{};
  std::string run{};
  std::string user{};
  std::map<std::string, JobRequest> requests{};  // by step
  std::vector<std::string> command{};            // that starts the flow
  std::vector<std::string> environment{};        // of every job, NAME=value
  std::uint64_t max_log_size = 10;               // MB per stream
};

/// Not thread-safe; lives in the scheduler's event loop.
class ProcessJobs : public compute::RemoteJobs {
 public:
  static constexpr std::size_t kFewest = 4;         // alike tasks that are worth an array
  static constexpr std::int64_t kLate = 5'000'000;  // that an attempt may take longer than it may, to end itself

  /// The references outlive this. Throws Error{data_store}.
  ProcessJobs(base::EventLoop& loop, compute::JobEvents& events, store::FlowStore& store, ProcessOptions options);

  void submit(const compute::JobOrder& order) override;
  void remove(std::span<const compute::AttemptId> attempts) override;
  void observe(compute::AttemptId attempt, std::function<void(const compute::JobState&)> told) override;
  void forget(compute::AttemptId attempt) override;
  void read_kept_log(compute::AttemptId attempt, std::function<void(const std::string& failure)> done) override;
  void end(std::function<void()> done) override;

 private:
  using Id = compute::AttemptId;

  struct Record {
    compute::JobOrder order;
    std::string job{};  // its id; empty: it is not in the spool yet
    SpooledState state{};
  };

  void send_ready();
  void send(const std::vector<compute::JobOrder>& orders);
  SpooledJob describe(const std::vector<compute::JobOrder>& orders) const;
  void on_file(const std::string& file);
  void look(const std::string& job);
  void tell(Id attempt, const SpooledState& state);
  void end_if_idle();
  Record* find(Id attempt);

  compute::JobEvents& events_;
  store::FlowStore& store_;
  ProcessOptions options_;
  Spool spool_;
  std::map<Id, Record> records_;
  std::map<std::string, Id> by_job_;
  std::set<std::string> unfinished_;    // jobs, also of attempts that were forgotten
  std::vector<compute::JobOrder> due_;  // to be sent
  std::vector<SpooledJob> sent_;        // whose files go at the end
  std::function<void()> done_;          // of end()
  base::Timers timers_;
  SpoolWatch watch_;
};

}  // namespace metaflow::process_platform
