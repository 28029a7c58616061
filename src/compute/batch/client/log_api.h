// The output of containers, from CloudWatch Logs:
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/event_loop.h"
#include "net/aws_service.h"

namespace metaflow::awsbatch {

inline constexpr const char* kLogGroup = "/aws/batch/job";  // unless the job definition names another

struct LogApiOptions {
  /// GetLogEvents is limited to 10 to 25 calls per second in a region.
  net::CallLimits limits{.calls_per_second = 5,
                         .burst = 10,
                         .calls_at_a_time = 4,
                         .retry = {.tries = 8, .first_delay = 200'000, .max_delay = 10'000'000}};
};

/// Driven by the loop. Not thread-safe. Callbacks come from the loop, never from within read(). They may call read(),
/// and must not destroy this.
class LogApi {
 public:
  /// `loop`, `clock` and `session` must outlive this. Loads libcurl.
  LogApi(base::EventLoop& loop, base::Clock& clock, net::AwsSession& session, LogApiOptions options = {},
         std::function<double()> random = net::jitter());

  struct End {
    std::optional<net::CallFailure> failure{};
    bool found = true;       // false: no such stream, so nothing was written
    bool truncated = false;  // there was more than `max_bytes`
  };
  /// Reads a stream from its beginning to what is there now, line by line.
  void read(const std::string& group, const std::string& stream, std::uint64_t max_bytes,
            std::function<void(std::string_view line)> on_line, std::function<void(End&&)> done);

 private:
  struct Reading;
  void next_page(const std::shared_ptr<Reading>& reading);

  net::AwsService service_;
};

}  // namespace metaflow::awsbatch
