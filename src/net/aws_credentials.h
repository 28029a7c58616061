// Where AWS keys come from, in the order that the official tools have: environment, the profile (a role to assume,
// single sign-on, keys, a program), a web identity, the container's endpoint, the machine's metadata service.
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

/// What was found, or what kept it from being found.
struct FoundAwsCredentials {
  std::optional<AwsCredentials> credentials{};
  std::optional<std::string> machine_region{};  // if the keys are those of the machine
  std::optional<Error> error{};
  AwsConfig config;  // with the files as they were read for it
};
/// Looks for keys as the provider does, in the files as they are now, and waits: for a thread of its own. `now`:
/// seconds since 1970.
FoundAwsCredentials find_aws_credentials(AwsConfig config, std::int64_t now);

/// The keys, found when first asked for and renewed before they expire. Not thread-safe.
class AwsCredentialProvider {
 public:
  /// All must outlive it. Drives the client while it asks a service for keys.
  AwsCredentialProvider(HttpClient& http, base::Clock& clock, AwsConfig& config)
      : http_(http), clock_(clock), config_(config) {}

  /// Keys that are good for a while: renewed from 15 minutes before their end. Throws Error{invalid_command} if there
  /// are none, which says where was looked, or what kept them from being renewed.
  const AwsKeys& keys();
  /// When they end, in seconds since 1970; 0: never. What they sign ends then, too. After keys().
  std::int64_t expires() const { return current_ ? current_->expires : 0; }
  /// Those that are still good, if any were found; asks nobody. Null: keys() would have to ask.
  const AwsKeys* known() const;
  /// Whether it is time to look for newer ones.
  bool is_due() const;
  /// What find_aws_credentials() has found for this. False: nothing new, and what was known is no longer good.
  bool take(FoundAwsCredentials&& found);
  std::string source() const { return current_ ? current_->source : "nowhere"; }
  /// The server did not accept them: look again, in the files too, which tools write new ones to.
  void forget() {
    current_.reset();
    config_.read_again();
  }

  /// The configured region, or that of the machine if its keys are used; nothing if unknown.
  std::optional<std::string> region();

 private:
  friend FoundAwsCredentials find_aws_credentials(AwsConfig config, std::int64_t now);

  AwsCredentials find();
  void keep(AwsCredentials&& found);
  std::optional<AwsCredentials> from_environment() const;
  std::optional<AwsCredentials> from_profile(const std::string& profile, int depth);
  AwsCredentials assume_role(const std::string& profile, const std::string& role, int depth);
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
  std::int64_t next_try_ = 0;  // seconds since 1970, after a renewal that failed
  bool machines_ = false;      // the keys are those of the machine
  std::optional<std::string> machine_region_;
};

}  // namespace metaflow::net
