// Calls of those services of AWS that speak JSON: signed, within the quotas of the account, and again if it helps.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "net/aws_session.h"
#include "net/call_failure.h"
#include "net/call_queue.h"

namespace metaflow::net {

struct AwsServiceOptions {
  std::string name{};           // "logs": part of the host's name and of signatures
  std::string configured_as{};  // "cloudwatch_logs": in AWS_ENDPOINT_URL_...; empty: as `name`
  std::string permissions{};    // "logs": how permissions begin; empty: as `name`
  CallLimits limits{};
  /// Told of each try that failed and is repeated after so many microseconds.
  std::function<void(const CallFailure&, std::int64_t pause)> on_retry{};
};

struct AwsCall {
  std::string operation{};  // "SubmitJob"
  std::string words{};      // "submit job x": for messages
  std::string path = "/";
  Headers headers{};  // besides those of the signature
  std::string content_type = "application/json";
  std::string body = "{}";
  /// Another try does no harm if an earlier one was carried out. Else a try that may have been is the last.
  bool may_repeat = true;
};

struct AwsAnswer {
  std::optional<CallFailure> failure{};
  std::string body{};
  /// The call failed, or was tried more than once, and may have been carried out by a try without an answer.
  bool may_have_been_done = false;
};

/// Driven by the loop. Not thread-safe. Callbacks come from the loop, never from within start() or cancel(); they may
/// start and cancel calls, and must not destroy this.
class AwsService {
 public:
  /// `loop`, `clock` and `session` must outlive this. Loads libcurl.
  AwsService(base::EventLoop& loop, base::Clock& clock, AwsSession& session, AwsServiceOptions options,
             std::function<double()> random = jitter());
  ~AwsService();

  using Id = CallQueue::Id;
  using Done = std::function<void(AwsAnswer&&)>;
  Id start(AwsCall call, Done done);
  /// Ends a call without its callback. The server may carry it out nevertheless. Nothing happens if it is over.
  void cancel(Id id) { queue_.cancel(id); }

  const CallCounters& counters() const { return queue_.counters(); }

 private:
  class Running;

  CallFailure failure_of(const AwsCall& call, const Response& response) const;

  AwsSession& session_;
  AwsServiceOptions options_;
  HttpClient http_;
  CallQueue queue_;  // gone first: with it all that calls back
};

}  // namespace metaflow::net
