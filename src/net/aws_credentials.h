// Finds AWS keys, in the order of the official tools: environment, the profile (a role to assume, single sign-on, keys,
// a program), a web identity, the container's endpoint, the machine's metadata service.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <metaflow/error.h>

#include "base/clock.h"
#include "net/aws_config.h"
#include "net/http.h"
#include "net/sigv4.h"

namespace metaflow::net {

struct AwsCredentials {
  AwsKeys keys;
  std::int64_t expires = 0;  // seconds since 1970; 0: never
  std::string source;        // for messages: "the environment", "profile 'x'"
};

/// The result of a search: credentials, or the error that prevented it.
struct FoundAwsCredentials {
  std::optional<AwsCredentials> credentials{};
  std::optional<std::string> machine_region{};  // set if the keys are those of the machine
  std::optional<Error> error{};
  AwsConfig config;  // as read for this search
};
/// Searches keys as the provider does, in the current files. Blocks: call it on a separate thread. `now`: seconds since
/// 1970.
FoundAwsCredentials find_aws_credentials(AwsConfig config, std::int64_t now);

/// The keys, found on first use and renewed before they expire. Not thread-safe.
class AwsCredentialProvider {
 public:
  /// All arguments must outlive this object. Drives the client while it requests keys from a service.
  AwsCredentialProvider(HttpClient& http, base::Clock& clock, AwsConfig& config)
      : http_(http), clock_(clock), config_(config) {}

  /// Valid keys: renewed from 15 minutes before they expire. Throws Error{invalid_command} if there are none, with the
  /// sources searched, or the reason why they could not be renewed.
  const AwsKeys& keys();
  /// Expiry of the keys in seconds since 1970; 0: never. Presigned URLs expire with the keys. Call after keys().
  std::int64_t expires() const { return current_ ? current_->expires : 0; }
  /// The keys found earlier, if still valid; sends no request. Null: keys() would have to send one.
  const AwsKeys* known() const;
  /// Whether it is time to search newer keys.
  bool is_due() const;
  /// Takes a result of find_aws_credentials(). False: no new keys, and the old ones have expired.
  bool take(FoundAwsCredentials&& found);
  std::string source() const { return current_ ? current_->source : "nowhere"; }
  /// Called when the server has rejected the keys: searches again, also in the files, which tools may have updated.
  void forget() {
    current_.reset();
    config_.read_again();
  }

  /// The configured region, or the machine's if its keys are used; nothing if unknown.
  std::optional<std::string> region();

 private:
  friend FoundAwsCredentials find_aws_credentials(AwsConfig config, std::int64_t now);

  AwsCredentials find();
  AwsCredentials find_without_role();
  void keep(AwsCredentials&& found);
  std::optional<AwsCredentials> from_environment() const;
  std::optional<AwsCredentials> from_profile(const std::string& profile, int depth);
  AwsCredentials assume_role(const std::string& profile, const std::string& role, int depth);
  /// `more`: other parts of the request.
  AwsCredentials ask_for_role(const AwsKeys& keys, const std::string& role, const std::string& session,
                              const Query& more, const std::string& source);
  std::optional<AwsCredentials> from_web_identity();
  AwsCredentials assume_with_web_identity(const std::string& token_file, const std::string& role,
                                          const std::string& session, const std::string& source);
  std::optional<AwsCredentials> from_sso(const std::string& profile);
  std::optional<AwsCredentials> from_process(const std::string& profile);
  std::optional<AwsCredentials> from_container();
  std::optional<AwsCredentials> from_machine();
  std::optional<std::string> machine_metadata(const std::string& path);
  AwsCredentials ask_sts(Request request, const std::string& action, const std::string& source);
  std::string sts_endpoint() const;
  std::int64_t now() const { return clock_.wall_microseconds() / 1'000'000; }

  HttpClient& http_;
  base::Clock& clock_;
  AwsConfig& config_;
  std::optional<AwsCredentials> current_;
  std::int64_t next_try_ = 0;      // seconds since 1970, after a failed renewal
  bool are_machine_keys_ = false;  // the keys are those of the machine
  std::optional<std::string> machine_region_;
};

}  // namespace metaflow::net
