// Requests to Metaflow's metadata service: many in flight, retried if that may help.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <metaflow/error.h>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/json.h"
#include "base/settings.h"
#include "net/call_queue.h"
#include "net/http.h"
#include "net/retry.h"
#include "store/names.h"

namespace metaflow::store {

/// The configuration of the client.
struct ServiceOptions {
  std::string url{};       // without a trailing slash
  net::Headers headers{};  // secrets
  /// For the first request, and for commands: the user waits.
  net::RetryOptions retry{.tries = 5, .first_delay = 1'000'000};
  /// For requests during a run: about ten minutes, since tasks continue meanwhile.
  net::RetryOptions run_retry{.tries = 24, .first_delay = 500'000, .max_delay = 60'000'000, .budget = 5000};
};

/// From METAFLOW_SERVICE_URL, METAFLOW_SERVICE_HEADERS, METAFLOW_SERVICE_AUTH_KEY, METAFLOW_SERVICE_RETRY_COUNT. Throws
/// Error{invalid_command} if one is missing or invalid. `url`: takes the place of METAFLOW_SERVICE_URL.
ServiceOptions service_options(const base::Settings& settings, const std::string& url = {});

/// Compares versions by their numbers: "2.5.0" is older than "2.10". A text that is not a version is older than all.
bool older_version(std::string_view version, std::string_view than);

struct ServiceRequest {
  std::string method = "GET";
  std::string path{};                 // "/flows/Sweep/run"
  std::optional<std::string> body{};  // JSON
  /// False: a request that may have been carried out, though its answer was lost, is not sent again.
  bool repeatable = true;
  /// The service answers 400 "need to register run_id and task_id first" also when its database fails temporarily. For
  /// an object that is known to be registered, this answer is treated as a temporary failure.
  bool is_registered = false;
  /// A heartbeat: sent after all other requests, and not retried.
  bool background = false;
};

struct ServiceAnswer : net::Response {
  base::Json json{};               // the body; null if it was not JSON
  int tries = 1;                   // the number of attempts
  bool after_lost_answer = false;  // an earlier attempt may have been carried out
  bool may_have_arrived = false;   // if not ok(): the service may have carried the request out
};

/// Driven by an event loop. Not thread-safe.
class ServiceClient {
 public:
  using Done = std::function<void(ServiceAnswer&&)>;

  /// Loads libcurl. The loop and the clock outlive this object.
  ServiceClient(ServiceOptions options, base::EventLoop& loop, base::Clock& clock);
  ~ServiceClient();
  ServiceClient(const ServiceClient&) = delete;
  ServiceClient& operator=(const ServiceClient&) = delete;

  /// `done` is called in the loop with the last answer, also if that is an error. What it throws is thrown by the loop.
  void start(ServiceRequest request, Done done);
  /// Sends one request and waits for its end; the loop runs meanwhile.
  ServiceAnswer fetch(ServiceRequest request);

  /// Requests the version of the service; nothing if the answer has none. Throws Error{metadata_service} if the service
  /// cannot be reached, refuses, is not a metadata service, or is older than `at_least`.
  std::optional<std::string> check(std::string_view at_least);

  /// From now on requests are retried for longer.
  void use_run_retries() { retry_ = &options_.run_retry; }
  /// `report` gets a line when requests fail repeatedly during a run, and when they succeed again.
  void on_trouble(std::function<void(const std::string&)> report) { report_ = std::move(report); }

  /// Throws Error{metadata_service} for an invalid name in an answer.
  void check_name(NameKind kind, std::string_view name) const;
  /// "Cannot register a run at the metadata service http://host:8080: ..."
  Error error(std::string_view operation, const ServiceAnswer& answer) const;
  std::string url() const { return net::printable_url(options_.url); }
  const net::RetryOptions& retry() const { return *retry_; }
  net::RetryBudget& budget() { return queue_.budget(); }
  const std::function<double()>& random() const { return random_; }

 private:
  class Running;

  void report(const ServiceAnswer& answer, bool trouble);

  ServiceOptions options_;
  base::EventLoop& loop_;
  base::Clock& clock_;
  std::function<double()> random_;
  const net::RetryOptions* retry_;
  std::function<void(const std::string&)> report_;
  bool in_trouble_ = false;
  std::int64_t next_report_ = 0;
  net::HttpClient http_;
  net::CallQueue queue_;  // last: destroyed first, and with it all callbacks
};

}  // namespace metaflow::store
