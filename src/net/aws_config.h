// AWS's configuration: variables of the environment, ~/.aws/config and ~/.aws/credentials.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace metaflow::net {

/// The value of a variable; nothing if it is not set (or set to nothing).
using Variables = std::function<std::optional<std::string>(const std::string&)>;
Variables own_variables();

/// Sections of an ini file. A line that is indented belongs to the key above it: "s3.endpoint_url".
using IniSection = std::map<std::string, std::string>;
using Ini = std::map<std::string, IniSection>;
Ini parse_ini(std::string_view text);

/// Whether a region can be called so. It becomes a part of the names of hosts, to which keys are sent.
bool is_region(std::string_view name);

class AwsConfig {
 public:
  /// Reads the files. Throws Error{invalid_command} if a profile that was asked for does not exist.
  explicit AwsConfig(Variables variables);
  /// The files, which may have changed. If the profile is gone from them, all stays as it was: they are being written.
  void read_again();

  std::optional<std::string> variable(const std::string& name) const { return variables_(name); }
  const Variables& variables() const { return variables_; }
  const std::string& profile() const { return profile_; }

  /// The settings of a profile in the config file and in the credentials file; nullptr if it is not there.
  const IniSection* in_config(const std::string& profile) const;
  const IniSection* in_credentials(const std::string& profile) const;
  /// A setting of the profile; the credentials file goes first.
  std::optional<std::string> setting(const std::string& profile, const std::string& key) const;
  /// A section such as "sso-session x".
  const IniSection* section(const std::string& name) const;

  /// AWS_REGION, AWS_DEFAULT_REGION, the profile's; nothing if none says. Throws Error{invalid_command} if it is none.
  std::optional<std::string> region() const;
  /// What was configured in the place of AWS's own endpoint of a service ("s3", "sts", "sso_oidc"); nothing if nothing
  /// was.
  std::optional<std::string> endpoint(const std::string& service) const;
  /// AWS_CA_BUNDLE or the profile's ca_bundle; empty: none.
  std::string ca_bundle() const;

  std::string home() const;
  /// With "~/" at its front replaced.
  std::string expand_home(const std::string& path) const;

 private:
  void read_files();

  Variables variables_;
  Ini config_;
  Ini credentials_;
  std::string profile_;
};

}  // namespace metaflow::net
