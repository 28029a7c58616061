// Reads in threads what attempts elsewhere have left in the store: a store may be slow, and the scheduler must not wait
// for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "store/exit_report.h"
#include "store/flow_store.h"

namespace metaflow::compute {

struct AttemptResult {
  std::optional<store::ExitReport> report{};
  bool done = false;                              // it was committed
  std::shared_ptr<const store::TaskData> data{};  // null: it left none
  std::optional<std::string> out{};               // its log, without marks, if that was requested and exists
  std::optional<std::string> err{};
  std::string failure{};  // why the result could not be read; empty: it was
};

/// Lives in the scheduler's event loop; not thread-safe itself.
class ResultReader {
 public:
  /// Called by each thread, which needs a store of its own.
  using Open = std::function<std::unique_ptr<store::FlowStore>()>;
  /// Called from the loop.
  using Done = std::function<void(AttemptResult&&)>;

  /// `threads`: 0 reads in the loop itself, for a store that answers at once.
  ResultReader(base::EventLoop& loop, Open open, std::size_t threads);
  /// Drops pending requests, without calling `done`. Does not wait for a thread whose store does not answer.
  ~ResultReader();
  ResultReader(const ResultReader&) = delete;
  ResultReader& operator=(const ResultReader&) = delete;

  void read(const store::TaskRef& task, int attempt, bool with_log, Done done);
  /// Reads the result of a killed attempt, which may have left nothing. For many attempts of a step, a list shows which
  /// left something.
  void read_killed(const store::TaskRef& task, int attempt, bool with_log, Done done);
  /// Reads the log of a running attempt, as far as it exists.
  void read_log(const store::TaskRef& task, int attempt, Done done);

 private:
  struct Order {
    std::uint64_t id = 0;
    store::TaskRef task;
    int attempt = 0;
    bool with_result = true;
    bool with_log = false;
    bool was_killed = false;
  };
  struct Shared;

  void add(Order&& order, Done done);
  void read_here();
  void deliver();
  void deliver(std::uint64_t order, AttemptResult&& left);
  static void work(Shared& shared);
  static std::vector<AttemptResult> read_all(Shared& shared, std::unique_ptr<store::FlowStore>& store,
                                             std::span<const Order> orders);
  static void read_together(const store::FlowStore& store, std::span<const Order> orders,
                            std::span<AttemptResult> left);

  base::EventLoop& loop_;
  std::size_t max_threads_;
  std::shared_ptr<Shared> shared_;  // shared with the threads, which may hang
  std::map<std::uint64_t, Done> done_;
  std::uint64_t next_order_ = 0;
  std::unique_ptr<store::FlowStore> own_store_;  // of the loop, without threads
  std::optional<base::EventLoop::Timer> reading_;
};

}  // namespace metaflow::compute
