// Calls of one service, with limits on their rate and concurrency, and with retries. S3, the metadata service,
// Kubernetes and AWS's services are all called through it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/event_loop.h"
#include "net/http.h"
#include "net/retry.h"
#include "net/token_bucket.h"

namespace metaflow::net {

struct CallLimits {
  double calls_per_second = 50;  // 0: no limit
  double burst = 100;
  int calls_at_a_time = 32;      // without streams
  int background_at_a_time = 4;  // at most this many of them in the background
  RetryOptions retry{};
};

struct CallCounters {
  std::uint64_t calls = 0;                         // requests sent
  std::uint64_t retries = 0;                       // requests that were retries
  std::uint64_t refused = 0;                       // answered with 429
  std::uint64_t delayed = 0;                       // waited for a token
  std::map<std::string, std::uint64_t> by_kind{};  // "create jobs"
};

/// One call, implemented by its service. All functions are called from the loop, never from start() or cancel(). An
/// exception of prepare(), evaluate() or finish() leaves the loop and ends the call, without finish() unless finish()
/// threw.
class ServiceCall {
 public:
  virtual ~ServiceCall() = default;

  /// The request of an attempt.
  struct Prepared {
    std::optional<Request> request{};  // nothing: there are no credentials;
    bool transient = false;            // there may be some later
  };
  using Ready = std::function<void(Prepared&&)>;
  /// Calls `ready`, at once or when credentials are available.
  virtual void prepare(const Ready& ready) = 0;

  enum class Next : std::uint8_t {
    finish,     // success, or a failure that a retry cannot fix
    retry,      // retry after a delay
    retry_now,  // retry now with other credentials; does not count as an attempt
  };
  struct Decision {
    Next next = Next::finish;
    std::optional<std::int64_t> delay{};  // microseconds requested by the server, apart from Retry-After
  };
  /// Evaluates the response of an attempt. Keeps the parts of it that the call needs.
  virtual Decision evaluate(Response&& response) = 0;

  /// Called before the attempt evaluated last is retried after `delay` microseconds.
  virtual void on_retry(std::int64_t /*delay*/) {}
  /// The end of the call. `may_have_executed`: an earlier attempt got no (clear) answer, but may have been executed.
  virtual void finish(bool may_have_executed) = 0;
};

/// Order of execution: retries, then new calls in the order of start(), then background calls.
///
/// Driven by the loop. Not thread-safe. Callbacks come from the loop, never from start() or cancel(); they may start
/// and cancel calls, but must not destroy this object.
class CallQueue {
 public:
  /// All arguments must outlive this object. The same loop drives `http`.
  CallQueue(base::EventLoop& loop, base::Clock& clock, HttpTransport& http, const CallLimits& limits,
            std::function<double()> random = jitter());
  /// Ends remaining calls without finish().
  ~CallQueue();
  CallQueue(const CallQueue&) = delete;
  CallQueue& operator=(const CallQueue&) = delete;

  using Id = std::uint64_t;  // never 0
  enum class Lane : std::uint8_t {
    normal,
    background,  // after all others
    stream,      // not counted in calls_at_a_time
  };
  struct Order {
    std::unique_ptr<ServiceCall> call{};
    std::string kind{};  // for the counters; empty: not counted by kind
    Lane lane = Lane::normal;
    std::optional<RetryOptions> retry{};  // nothing: those of the limits; the budget is always the queue's
  };
  Id start(Order order);
  /// Ends a call without finish(). The server may still execute it. No effect on a finished call.
  void cancel(Id id);
  void cancel_all();

  const CallCounters& counters() const { return counters_; }
  /// Number of unfinished calls.
  std::size_t in_flight() const { return entries_.size(); }
  /// For callers that retry a sequence of calls as a whole.
  RetryBudget& budget() { return budget_; }

 private:
  struct Entry {
    Entry(Order&& what, const RetryOptions& options, RetryBudget& budget, std::function<double()> random)
        : order(std::move(what)), retries(options), retry(retries, budget, std::move(random)) {}

    Order order;
    RetryOptions retries;
    Retry retry;
    HttpTransport::Id transfer = 0;
    std::optional<base::EventLoop::Timer> timer{};
    bool sent = false;               // at least once
    bool running = false;            // counted in running_
    bool may_have_executed = false;  // a failed attempt may have been executed
    bool delayed = false;            // waited for a token
  };

  void wake(std::int64_t wait = 0);
  void pump();
  std::deque<Id>* next_queue();
  void begin(Id id);
  void restart(Id id);
  void prepared(Id id, ServiceCall::Prepared&& what);
  void answered(Id id, Response&& response);
  void failed(Id id, bool may_try_again, std::optional<std::int64_t> server_delay);
  void finish(Id id);
  void release_slot(Entry& entry);

  base::EventLoop& loop_;
  base::Clock& clock_;
  HttpTransport& http_;
  CallLimits limits_;
  std::function<double()> random_;
  TokenBucket bucket_;
  RetryBudget budget_;
  CallCounters counters_;
  std::unordered_map<Id, std::shared_ptr<Entry>> entries_;
  std::deque<Id> waiting_;
  std::deque<Id> background_;
  std::optional<base::EventLoop::Timer> pump_timer_;
  Id next_id_ = 1;
  int running_ = 0;             // running calls without streams,
  int running_background_ = 0;  // and those of them in the background
};

}  // namespace metaflow::net
