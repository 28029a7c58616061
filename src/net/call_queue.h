// Calls of one service: so many in a while, so many at a time, and again if they did not work. S3, the metadata
// service, Kubernetes and AWS's services are all called through this.
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
  int calls_at_a_time = 32;      // streams not counted
  int background_at_a_time = 4;  // of those
  RetryOptions retry{};
};

struct CallCounters {
  std::uint64_t calls = 0;                         // sent
  std::uint64_t retries = 0;                       // of these, those that were not the first
  std::uint64_t refused = 0;                       // answered with 429
  std::uint64_t delayed = 0;                       // that waited for a token
  std::map<std::string, std::uint64_t> by_kind{};  // "create jobs"
};

/// One call, as its service makes it. All of this is called from the loop, never from within start() or cancel(). What
/// prepare(), judge() and finish() throw comes out of the loop, and the call is over: without finish(), if that was not
/// it.
class Calling {
 public:
  virtual ~Calling() = default;

  /// The request of a try.
  struct Prepared {
    std::optional<Request> request{};  // nothing: there are no credentials,
    bool transient = false;            // and another time there may be
  };
  using Ready = std::function<void(Prepared&&)>;
  /// Calls back, at once or when credentials are there.
  virtual void prepare(const Ready& ready) = 0;

  enum class Next : std::uint8_t {
    finish,     // it worked, or no other try would
    try_again,  // later
    at_once,    // with other credentials; not counted as a try
  };
  struct Decision {
    Next next = Next::finish;
    std::optional<std::int64_t> pause{};  // microseconds that the server asked for, besides Retry-After
  };
  /// What a try came to. Keeps what it needs of the answer.
  virtual Decision judge(Response&& response) = 0;

  /// The try that was judged last is repeated after so many microseconds.
  virtual void will_try_again(std::int64_t /*pause*/) {}
  /// No more tries. `may_have_been_done`: an earlier one got no answer (or one that does not tell), but may have been
  /// carried out.
  virtual void finish(bool may_have_been_done) = 0;
};

/// What is next: calls that were begun, then those that were not, in the order of start(), then those in background.
///
/// Driven by the loop. Not thread-safe. Callbacks come from the loop, never from within start() or cancel(); they may
/// start and cancel calls, and must not destroy this.
class CallQueue {
 public:
  /// All must outlive this. The same loop drives `http`.
  CallQueue(base::EventLoop& loop, base::Clock& clock, HttpTransport& http, const CallLimits& limits,
            std::function<double()> random = jitter());
  /// The calls that are left end without finish().
  ~CallQueue();
  CallQueue(const CallQueue&) = delete;
  CallQueue& operator=(const CallQueue&) = delete;

  using Id = std::uint64_t;  // never 0
  enum class Lane : std::uint8_t {
    normal,
    background,  // behind all others
    stream,      // needs no place
  };
  struct Order {
    std::unique_ptr<Calling> call{};
    std::string kind{};  // for the counters; empty: not counted by kind
    Lane lane = Lane::normal;
    std::optional<RetryOptions> retry{};  // nothing: as the limits say; the budget is the queue's
  };
  Id start(Order order);
  /// Ends a call without finish(). The server may carry it out nevertheless. Nothing happens if it is over.
  void cancel(Id id);
  void cancel_all();

  const CallCounters& counters() const { return counters_; }
  /// Calls that are not over.
  std::size_t in_flight() const { return entries_.size(); }
  /// For calls that are repeated as a whole.
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
    bool sent = false;     // at least once
    bool running = false;  // holds one of the places
    bool arrived = false;  // a try that failed may have been carried out
    bool delayed = false;  // waited for a token
  };

  void wake(std::int64_t wait = 0);
  void pump();
  std::deque<Id>* next_line();
  void begin(Id id);
  void begin_again(Id id);
  void prepared(Id id, Calling::Prepared&& what);
  void answered(Id id, Response&& response);
  void failed(Id id, bool may_try_again, std::optional<std::int64_t> server_pause);
  void finish(Id id);
  void leave_place(Entry& entry);

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
  int running_ = 0;             // in a place,
  int running_background_ = 0;  // and of those in background
};

}  // namespace metaflow::net
