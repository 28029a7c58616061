// Calls of an API server over HTTP: who asks, how often, and again if it did not work.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <metaflow/error.h>

#include "base/clock.h"
#include "base/event_loop.h"
#include "compute/kubernetes/client/credentials.h"
#include "compute/kubernetes/client/kubeconfig.h"
#include "compute/kubernetes/client/token_bucket.h"
#include "net/http.h"
#include "net/retry.h"

namespace metaflow::kube {

/// Why a call did not succeed.
struct ApiFailure {
  int status = 0;          // of the answer; 0: none came
  std::string reason{};    // the server's word for programs: "AlreadyExists"; empty: it said none
  std::string message{};   // the server's words for people, or why there was no answer
  std::string text{};      // "Cannot create job x in namespace n: ...": for messages
  std::string hint{};      // what to try; may be empty
  bool transient = false;  // another try may succeed

  Error error() const { return Error(ErrorCode::kubernetes, text, hint); }
};

struct TransportOptions {
  double calls_per_second = 50;  // as kubectl's library limits itself by default
  double burst = 100;
  int calls_at_a_time = 32;  // streams (logs, watches) not counted
  /// A control plane may be away for minutes, while it is upgraded or has lost its leader. Each further try takes a
  /// token of the rate like any other call: there is no need of a budget.
  net::RetryOptions retry{.tries = 16, .first_pause = 200'000, .longest_pause = 30'000'000, .budget = 1e18};
  /// Told of each try that failed and is repeated after so many microseconds.
  std::function<void(const ApiFailure&, std::int64_t pause)> on_retry{};
};

struct Counters {
  std::uint64_t calls = 0;                         // sent
  std::uint64_t retries = 0;                       // of these, those that were not the first
  std::uint64_t refused = 0;                       // answered with 429
  std::uint64_t delayed = 0;                       // that waited for a token
  std::map<std::string, std::uint64_t> by_kind{};  // "create jobs"
};

/// One call.
struct Call {
  std::string verb = "get";  // Kubernetes' word
  std::string resource{};    // "jobs", "pods/log"
  std::string object{};      // for messages: "job x in namespace n"
  std::string method = "GET";
  std::string path{};  // with the query, encoded
  std::string body{};
  std::string content_type{};    // empty: there is no body
  net::PieceSink sink{};         // of a stream; else the answer is collected
  bool repeat_conflict = false;  // 409 Conflict is another try's business: somebody else was quicker
  int tries = 0;                 // 0: as the options say
  std::chrono::milliseconds idle_timeout{60'000};
};

struct CallAnswer {
  std::optional<ApiFailure> failure{};
  std::string body{};
  /// An earlier try got no answer, but may have been carried out.
  bool may_have_been_done = false;
};

/// Calls of one cluster as one user, driven by the loop. Not thread-safe. Callbacks come from the loop, never from
/// within start() or cancel(); they may start and cancel calls, and must not destroy this.
class Transport {
 public:
  /// `loop` and `clock` must outlive this. Loads libcurl.
  Transport(base::EventLoop& loop, base::Clock& clock, Access access, TransportOptions options = {},
            std::function<double()> random = net::jitter());
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  using Id = std::uint64_t;  // never 0
  using Done = std::function<void(CallAnswer&&)>;
  Id start(Call call, Done done);
  /// Ends a call without its callback. The server may carry it out nevertheless. Nothing happens if it is over.
  void cancel(Id id);

  const Counters& counters() const { return counters_; }
  std::size_t in_flight() const { return entries_.size(); }
  base::EventLoop& loop() { return loop_; }
  base::Clock& clock() { return clock_; }
  const std::function<double()>& random() const { return random_; }

 private:
  struct Entry {
    Entry(Call what, Done then, const net::RetryOptions& tries, net::RetryBudget& budget,
          std::function<double()> random)
        : call(std::move(what)), done(std::move(then)), options(tries), retry(options, budget, std::move(random)) {}

    Call call;
    Done done;
    net::RetryOptions options;
    net::Retry retry;
    std::shared_ptr<const std::string> body{};
    net::HttpClient::Id transfer = 0;
    std::optional<base::EventLoop::Timer> timer{};
    std::uint64_t generation = 0;  // of the credentials
    bool sent = false;             // at least once
    bool running = false;          // holds one of the places
    bool refused = false;          // by 401, once
    bool began = false;            // the stream did
    bool arrived = false;          // a try that failed may have been carried out
    bool delayed = false;          // waited for a token
  };

  void pump();
  void send(Id id, const Credentials::Found& found);
  void answered(Id id, net::Response&& response);
  void fail(Id id, ApiFailure failure, std::optional<std::int64_t> server_pause);
  void finish(Id id, CallAnswer&& answer);
  void leave_place(Entry& entry);
  ApiFailure failure_of(const Entry& entry, const net::Response& response) const;

  base::EventLoop& loop_;
  base::Clock& clock_;
  TransportOptions options_;
  std::function<double()> random_;
  std::string server_;
  std::string source_;
  TokenBucket bucket_;
  net::RetryBudget budget_;
  Counters counters_;
  std::unordered_map<Id, std::unique_ptr<Entry>> entries_;
  std::deque<Id> queue_;
  std::optional<base::EventLoop::Timer> pump_timer_;
  Id next_id_ = 1;
  int running_ = 0;
  Credentials credentials_;
  net::HttpClient http_;  // gone first: with it all that calls back
};

}  // namespace metaflow::kube
