// Calls of an API server over HTTP: credentials, rate limits and retries.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <metaflow/error.h>

#include "base/clock.h"
#include "base/event_loop.h"
#include "compute/kubernetes/client/credentials.h"
#include "compute/kubernetes/client/kubeconfig.h"
#include "net/call_failure.h"
#include "net/call_queue.h"
#include "net/http.h"

namespace metaflow::kube {

using net::CallFailure;

struct Call;
/// Converts an answer without success, or a missing one. `source`: of the server and its credentials.
CallFailure failure_of(const Call& call, const net::Response& response, const std::string& source);
/// Returns the microseconds for which a server asked to wait, in the body rather than by Retry-After.
std::optional<std::int64_t> asked_pause(const net::Response& response);

struct TransportOptions {
  /// The default limits of kubectl's library. A control plane may be away for minutes, while it is upgraded or has lost
  /// its leader. Retries are limited by the rate like all calls, so that no budget is needed.
  net::CallLimits limits{.calls_per_second = 50,
                         .burst = 100,
                         .calls_at_a_time = 32,
                         .retry = {.tries = 16, .first_delay = 200'000, .max_delay = 30'000'000, .budget = 1e18}};
  /// Called for each failed try, with the microseconds until the next one.
  std::function<void(const CallFailure&, std::int64_t pause)> on_retry{};
};

/// One call.
struct Call {
  std::string verb = "get";  // Kubernetes' word
  std::string resource{};    // "jobs", "pods/log"
  std::string object{};      // for messages: "job x in namespace n"
  std::string name_space{};
  std::string method = "GET";
  std::string path{};  // with the query, encoded
  std::string body{};
  std::string content_type{};    // empty: there is no body
  net::PieceSink sink{};         // of a stream; else the answer is collected
  bool repeat_conflict = false;  // retry 409 Conflict: another client was faster
  int tries = 0;                 // 0: as in the options
  std::chrono::milliseconds idle_timeout{60'000};
  std::chrono::milliseconds answer_timeout = net::Request().answer_timeout;
  std::uint64_t max_body = net::Request().max_body;
};

struct CallAnswer {
  std::optional<CallFailure> failure{};
  std::string body{};
  /// An earlier try got no answer, but may have been carried out.
  bool may_have_executed = false;
};

/// Calls of one cluster as one user, driven by the loop. Not thread-safe. Callbacks come from the loop, never from
/// within start() or cancel(). They may start and cancel calls, and must not destroy this.
class Transport {
 public:
  /// `loop` and `clock` must outlive this. Loads libcurl.
  Transport(base::EventLoop& loop, base::Clock& clock, Access access, TransportOptions options = {},
            std::function<double()> random = net::jitter());
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  using Id = net::CallQueue::Id;
  using Done = std::function<void(CallAnswer&&)>;
  Id start(Call call, Done done);
  /// Cancels a call, without its callback. The server may carry it out nevertheless. Does nothing if the call has
  /// ended.
  void cancel(Id id);

  const net::CallCounters& counters() const { return queue_.counters(); }
  std::size_t in_flight() const { return queue_.in_flight(); }
  base::EventLoop& loop() { return loop_; }
  base::Clock& clock() { return clock_; }
  const std::function<double()>& random() const { return random_; }

 private:
  class Running;

  base::EventLoop& loop_;
  base::Clock& clock_;
  TransportOptions options_;
  std::function<double()> random_;
  std::string server_;
  std::string source_;
  Credentials credentials_;
  std::optional<std::uint64_t> accepted_;  // the last credentials that the server accepted
  net::HttpClient http_;
  net::CallQueue queue_;  // destroyed first, with all callbacks
};

}  // namespace metaflow::kube
