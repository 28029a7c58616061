// The identity and the endpoints for requests to AWS services.
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

/// Shared by the clients of all services for one user and one region. Not thread-safe.
class AwsSession {
 public:
  /// `clock` must outlive this object. Sends no request until needed.
  AwsSession(base::Clock& clock, AwsConfig config);
  ~AwsSession();
  AwsSession(const AwsSession&) = delete;
  AwsSession& operator=(const AwsSession&) = delete;

  /// From now on keys are searched on another thread and renewed ahead of expiry, so that the loop never waits for
  /// them. Must be balanced by detach(). The first caller's loop is used, and must outlive the attachment.
  void attach(base::EventLoop& loop);
  void detach();

  struct Keys {
    const AwsKeys* keys = nullptr;  // null: there are none
    std::optional<Error> error{};   // the reason
    bool may_recover = false;       // there were keys before
  };
  using KeysCallback = std::function<void(const Keys&)>;
  /// For code that runs in the loop: calls back at once if valid keys are known, else from the loop. Only while
  /// attached. With keys, region() and known_region() do not block.
  void get_keys(KeysCallback done);
  /// For other code: blocks until keys are found.
  Keys wait_for_keys();

  /// The configured region, or that of the machine. Throws Error{invalid_command} if there is none.
  const std::string& region();
  /// The same; nothing if there is none. Call after keys(): the machine's region is requested only with its keys.
  std::optional<std::string> known_region();
  /// Throws Error{invalid_command}. May request keys from a service and block: on the first call, and when they expire.
  const AwsKeys& keys();
  /// The same; while attached it does not block: if there are no keys at the moment, it throws.
  const AwsKeys& keys_without_waiting();
  /// Searches keys. Returns their expiry in seconds since 1970; 0: never. Presigned URLs expire with the keys.
  std::int64_t keys_expire();
  std::string source();
  /// Called when the server has rejected `refused`. Returns whether there are other keys now; while attached, whether
  /// there may be.
  bool renew(const AwsKeys& refused);

  /// The time for signatures, in seconds since 1970, corrected by the servers' clocks.
  std::int64_t signing_time();
  /// After a rejection: whether the clock was wrong, and has been corrected.
  bool correct_clock(const Response& response);

  /// "https://logs.eu-west-1.amazonaws.com", or the endpoint configured under `configured_as`, the service's name in
  /// the configuration of AWS's tools.
  std::string endpoint(const std::string& service, const std::string& configured_as);
  const std::shared_ptr<const Tls>& tls() const { return tls_; }

 private:
  AwsCredentialProvider& provider();
  void start_search();
  void search_done(FoundAwsCredentials&& found);

  base::Clock& clock_;
  AwsConfig config_;
  std::shared_ptr<const Tls> tls_;
  std::string region_;
  std::int64_t clock_offset_ = 0;
  std::unique_ptr<HttpClient> http_;
  std::unique_ptr<AwsCredentialProvider> provider_;
  std::unique_ptr<base::BackgroundWork> work_;  // attached
  int attached_ = 0;
  bool searching_ = false;
  bool had_keys_ = false;
  std::vector<KeysCallback> waiting_;
  AwsKeys refused_;                 // rejected keys that a search found again;
  std::int64_t refused_until_ = 0;  // no other search before this time; seconds since 1970
};

}  // namespace metaflow::net
