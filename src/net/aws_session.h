// Who asks AWS's services, and where they are.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <metaflow/error.h>

#include "base/background_work.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "net/aws_config.h"
#include "net/aws_credentials.h"
#include "net/http.h"
#include "net/sigv4.h"

namespace metaflow::net {

/// Shared by the services that one user of one region talks to. Not thread-safe.
class AwsSession {
 public:
  /// `clock` must outlive this. Nothing is asked for before it is needed.
  AwsSession(base::Clock& clock, AwsConfig config);
  ~AwsSession();
  AwsSession(const AwsSession&) = delete;
  AwsSession& operator=(const AwsSession&) = delete;

  /// From now on keys are looked for beside this loop, and renewed ahead, so that nobody in it waits for them. As often
  /// detached as attached; the loop of the first of them counts, and outlives that.
  void attach(base::EventLoop& loop);
  void detach();

  struct Keys {
    const AwsKeys* keys = nullptr;  // null: there are none
    std::optional<Error> error{};   // that says why
    bool may_recover = false;       // there were some before
  };
  using GotKeys = std::function<void(const Keys&)>;
  /// For who lives in the loop: calls back at once if keys are known that are good, else from the loop. Attached only.
  /// With keys, region() and known_region() wait for nothing.
  void get_keys(GotKeys done);
  /// For others: waits until they are found.
  Keys wait_for_keys();

  /// The configured one, or that of the machine. Throws Error{invalid_command} if there is none.
  const std::string& region();
  /// The same; nothing if there is none. After keys(): only with the keys of a machine is its region asked for.
  std::optional<std::string> known_region();
  /// Throws Error{invalid_command}. May ask a service for them, and waits for its answer: once, and when they end.
  const AwsKeys& keys();
  /// The same; attached, it does not wait: if there are none just now, an error says so.
  const AwsKeys& keys_without_waiting();
  /// Looks for keys, and tells when they end, in seconds since 1970; 0: never. What they sign ends then, too.
  std::int64_t keys_expire();
  std::string source();
  /// The server did not accept the keys `refused`. Whether there are others now; attached, whether there may be.
  bool renew(const AwsKeys& refused);

  /// The time to sign with, in seconds since 1970: corrected by what servers say.
  std::int64_t signing_time();
  /// After a refusal: whether the clock was wrong, and is corrected.
  bool correct_clock(const Response& response);

  /// "https://logs.eu-west-1.amazonaws.com", or what was configured for the service by the name that AWS's tools have
  /// for it there.
  std::string endpoint(const std::string& service, const std::string& configured_as);
  const std::shared_ptr<const Tls>& tls() const { return tls_; }

 private:
  AwsCredentialProvider& provider();
  void look();
  void looked(FoundAwsCredentials&& found);

  base::Clock& clock_;
  AwsConfig config_;
  std::shared_ptr<const Tls> tls_;
  std::string region_;
  std::int64_t clock_offset_ = 0;
  std::unique_ptr<HttpClient> http_;
  std::unique_ptr<AwsCredentialProvider> provider_;
  std::unique_ptr<base::BackgroundWork> work_;  // attached
  int attached_ = 0;
  bool looking_ = false;
  bool had_some_ = false;
  std::vector<GotKeys> waiting_;
  AwsKeys refused_;                 // that were found again when others were looked for,
  std::int64_t refused_until_ = 0;  // which is not done again before this; seconds since 1970
};

}  // namespace metaflow::net
