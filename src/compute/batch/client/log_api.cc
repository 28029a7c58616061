#include "compute/batch/client/log_api.h"

#include <utility>

#include "base/format.h"
#include "base/json.h"
#include "net/page_tokens.h"

namespace metaflow::awsbatch {

using base::Json;

struct LogApi::Reading {
  std::string group;
  std::string stream;
  std::uint64_t bytes_left;
  std::function<void(std::string_view)> on_line;
  std::function<void(End&&)> done;
  std::string token{};
  net::PageTokens tokens{};
};

LogApi::LogApi(base::EventLoop& loop, base::Clock& clock, net::AwsSession& session, LogApiOptions options,
               std::function<double()> random)
    : service_(loop, clock, session, {.name = "logs", .configured_as = "cloudwatch_logs", .limits = options.limits},
               std::move(random)) {}

void LogApi::read(const std::string& group, const std::string& stream, std::uint64_t max_bytes,
                  std::function<void(std::string_view)> on_line, std::function<void(End&&)> done) {
  next_page(std::make_shared<Reading>(Reading{group, stream, max_bytes, std::move(on_line), std::move(done)}));
}

void LogApi::next_page(const std::shared_ptr<Reading>& reading) {
  Json body{{"logGroupName", reading->group}, {"logStreamName", reading->stream}, {"startFromHead", true}};
  if (!reading->token.empty()) body.set("nextToken", reading->token);
  service_.start({.operation = "GetLogEvents",
                  .words = fmt::format("read the log stream {} of {}", reading->stream, reading->group),
                  .headers = {{"X-Amz-Target", "Logs_20140328.GetLogEvents"}},
                  .content_type = "application/x-amz-json-1.1",
                  .body = body.dump()},
                 [this, reading](net::AwsAnswer&& answer) {
                   if (answer.failure && answer.failure->code == "ResourceNotFoundException")
                     return reading->done({.found = false});
                   if (answer.failure) return reading->done({.failure = std::move(answer.failure)});
                   const Json page = Json::parse(answer.body).value_or(Json());
                   const bool is_empty = page["events"].items().empty();
                   for (const Json& event : page["events"].items()) {
                     if (!event.is_object()) continue;
                     const std::string& line = event["message"].text();
                     if (line.size() + 1 > reading->bytes_left) return reading->done({.truncated = true});
                     reading->bytes_left -= line.size() + 1;
                     reading->on_line(line);
                   }
                   // A page may be empty before the end: only the token shows the end.
                   const std::string& token = page["nextForwardToken"].text();
                   if (token.empty() || !reading->tokens.add(token, is_empty)) return reading->done({});
                   reading->token = token;
                   next_page(reading);
                 });
}

}  // namespace metaflow::awsbatch
