// Requests to Metaflow's metadata service: many in flight, tried again when that may help.
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

/// How the service is reached.
struct ServiceOptions {
  std::string url{};       // without a slash at its end
  net::Headers headers{};  // secrets
  /// Of the first request, and of commands: somebody waits.
  net::RetryOptions retry{.tries = 5, .first_delay = 1'000'000};
  /// During a run: about ten minutes, since tasks go on meanwhile.
  net::RetryOptions patient{.tries = 24, .first_delay = 500'000, .max_delay = 60'000'000, .budget = 5000};
};

/// From METAFLOW_SERVICE_URL, METAFLOW_SERVICE_HEADERS, METAFLOW_SERVICE_AUTH_KEY, METAFLOW_SERVICE_RETRY_COUNT. Throws
/// Error{invalid_command} if one is missing or cannot be.
ServiceOptions service_options(const base::Settings& settings);

/// "2.5.0" against "2.10": by numbers. What is no version is older than all.
bool older_version(std::string_view version, std::string_view than);

struct ServiceRequest {
  std::string method = "GET";
  std::string path{};                 // "/flows/Sweep/run"
  std::optional<std::string> body{};  // JSON
  /// False: one that the service may have carried out, though its answer was lost, is not sent again.
  bool repeatable = true;
  /// The service says 400 "need to register run_id and task_id first" also when its database fails in passing. Of an
  /// object that is known to be registered that means: later.
  bool is_registered = false;
  /// A heartbeat: behind all others, and only once.
  bool background = false;
};

struct ServiceAnswer : net::Response {
  base::Json json{};               // the body; null if it was none
  int tries = 1;                   // that it took
  bool after_lost_answer = false;  // an earlier try may have been carried out
  bool may_have_arrived = false;   // of one that is not ok(): the service may have carried it out
};

/// Driven by an event loop. Not thread-safe.
class ServiceClient {
 public:
  using Done = std::function<void(ServiceAnswer&&)>;

  /// Loads libcurl. The loop and the clock outlive it.
  ServiceClient(ServiceOptions options, base::EventLoop& loop, base::Clock& clock);
  ~ServiceClient();
  ServiceClient(const ServiceClient&) = delete;
  ServiceClient& operator=(const ServiceClient&) = delete;

  /// `done` is called in the loop with the last answer, whatever it is; what it throws comes out of the loop.
  void start(ServiceRequest request, Done done);
  /// One request, until it is over; the loop goes on meanwhile.
  ServiceAnswer fetch(ServiceRequest request);

  /// Asks the service for its version; nothing if it does not say. Throws Error{metadata_service} if it cannot be
  /// reached, refuses, is something else or is older than `at_least`.
  std::optional<std::string> check(std::string_view at_least);

  /// From now on requests are tried for longer.
  void be_patient() { retry_ = &options_.patient; }
  /// What is told during a run, in a line, when requests fail again and again and when they succeed again.
  void on_trouble(std::function<void(const std::string&)> tell) { tell_ = std::move(tell); }

  /// Throws Error{metadata_service} for what the service gave as a name and is not one.
  void check_name(NameKind kind, std::string_view name) const;
  /// "Cannot register a run at the metadata service http://host:8080: ..."
  Error error(std::string_view operation, const ServiceAnswer& answer) const;
  std::string url() const { return net::printable_url(options_.url); }
  const net::RetryOptions& retry() const { return *retry_; }
  net::RetryBudget& budget() { return queue_.budget(); }
  const std::function<double()>& random() const { return random_; }

 private:
  class Running;

  void tell(const ServiceAnswer& answer, bool trouble);

  ServiceOptions options_;
  base::EventLoop& loop_;
  base::Clock& clock_;
  std::function<double()> random_;
  const net::RetryOptions* retry_;
  std::function<void(const std::string&)> tell_;
  bool in_trouble_ = false;
  std::int64_t silent_until_ = 0;
  net::HttpClient http_;
  net::CallQueue queue_;  // gone first: with it all that calls back
};

}  // namespace metaflow::store
