// Who asks AWS's services, and where they are.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
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
  /// Asks by this client, which must outlive this, and drives it until there is an answer.
  AwsSession(base::Clock& clock, AwsConfig config, HttpClient& http);
  ~AwsSession();

  /// The configured one, or that of the machine. Throws Error{invalid_command} if there is none.
  const std::string& region();
  /// The same; nothing if there is none. After keys(): only with the keys of a machine is its region asked for.
  std::optional<std::string> known_region();
  /// Throws Error{invalid_command}. May ask a service for them, and waits for its answer: once, and when they end.
  const AwsKeys& keys();
  /// Looks for keys, and tells when they end, in seconds since 1970; 0: never. What they sign ends then, too.
  std::int64_t keys_expire();
  std::string source();
  /// The server did not accept the keys `refused`. Whether there are others now.
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

  base::Clock& clock_;
  AwsConfig config_;
  std::shared_ptr<const Tls> tls_;
  std::string region_;
  std::int64_t clock_offset_ = 0;
  std::unique_ptr<HttpClient> own_http_;
  HttpClient* http_ = nullptr;
  std::unique_ptr<AwsCredentialProvider> provider_;
};

}  // namespace metaflow::net
