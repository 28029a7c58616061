// Calls of AWS services that use JSON: signed, within the quotas of the account, with retries.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "net/aws_session.h"
#include "net/call_failure.h"
#include "net/call_queue.h"

namespace metaflow::net {

struct AwsServiceOptions {
  std::string name{};           // "logs": part of the host name and of signatures
  std::string configured_as{};  // "cloudwatch_logs": in AWS_ENDPOINT_URL_...; empty: as `name`
  std::string permissions{};    // "logs": prefix of permissions; empty: as `name`
  CallLimits limits{};
  /// Called for each failed attempt that will be repeated after `delay` microseconds.
  std::function<void(const CallFailure&, std::int64_t delay)> on_retry{};
};

struct AwsCall {
  std::string operation{};  // "SubmitJob"
  std::string words{};      // "submit job x": description for messages
  std::string path = "/";
  Headers headers{};  // in addition to those of the signature
  std::string content_type = "application/json";
  std::string body = "{}";
  /// Whether the call is idempotent. If not, an attempt that may have been executed is the last one.
  bool may_repeat = true;
};

struct AwsAnswer {
  std::optional<CallFailure> failure{};
  std::string body{};
  /// The call failed or had several attempts, and an attempt without an answer may have been executed.
  bool may_have_executed = false;
};

/// Driven by the loop. Not thread-safe. Callbacks come from the loop, never from start() or cancel(); they may start
/// and cancel calls, but must not destroy this object.
class AwsService {
 public:
  /// `loop`, `clock` and `session` must outlive this object. Loads libcurl.
  AwsService(base::EventLoop& loop, base::Clock& clock, AwsSession& session, AwsServiceOptions options,
             std::function<double()> random = jitter());
  ~AwsService();

  using Id = CallQueue::Id;
  using Done = std::function<void(AwsAnswer&&)>;
  Id start(AwsCall call, Done done);
  /// Ends a call without its callback. The server may still execute it. No effect on a finished call.
  void cancel(Id id) { queue_.cancel(id); }

  const CallCounters& counters() const { return queue_.counters(); }

 private:
  class Running;

  CallFailure failure_of(const AwsCall& call, const Response& response) const;

  AwsSession& session_;
  AwsServiceOptions options_;
  HttpClient http_;
  CallQueue queue_;  // last, so that it is destroyed first, and with it all callbacks
};

}  // namespace metaflow::net
