// AWS's configuration: environment variables, ~/.aws/config and ~/.aws/credentials.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace metaflow::net {

/// The value of a variable; nothing if it is unset or empty.
using Variables = std::function<std::optional<std::string>(const std::string&)>;
Variables own_variables();

/// Sections of an ini file. An indented line belongs to the key above it: "s3.endpoint_url".
using IniSection = std::map<std::string, std::string>;
using Ini = std::map<std::string, IniSection>;
Ini parse_ini(std::string_view text);

/// Whether a name is a valid region. It becomes a part of the names of hosts that receive keys.
bool is_region(std::string_view name);

class AwsConfig {
 public:
  /// Reads the files. Throws Error{invalid_command} if the selected profile does not exist.
  explicit AwsConfig(Variables variables);
  /// Reads the files again. Keeps the old content if the profile is missing now: the files are being written.
  void read_again();

  std::optional<std::string> variable(const std::string& name) const { return variables_(name); }
  const Variables& variables() const { return variables_; }
  const std::string& profile() const { return profile_; }
  /// A role to assume with the credentials that are found; empty: none.
  const std::string& role() const { return role_; }
  void set_role(std::string arn) { role_ = std::move(arn); }

  /// The settings of a profile in the config file or the credentials file; nullptr if the profile is not in it.
  const IniSection* in_config(const std::string& profile) const;
  const IniSection* in_credentials(const std::string& profile) const;
  /// A setting of the profile; the credentials file has priority.
  std::optional<std::string> setting(const std::string& profile, const std::string& key) const;
  /// A section such as "sso-session x".
  const IniSection* section(const std::string& name) const;

  /// AWS_REGION, AWS_DEFAULT_REGION or the profile's region; nothing if none is set. Throws Error{invalid_command} if
  /// it is invalid.
  std::optional<std::string> region() const;
  /// The configured replacement of AWS's own endpoint of a service ("s3", "sts", "sso_oidc"); nothing if there is none.
  std::optional<std::string> endpoint(const std::string& service) const;
  /// AWS_CA_BUNDLE or the profile's ca_bundle; empty: none.
  std::string ca_bundle() const;

  std::string home() const;
  /// The path with a leading "~/" replaced.
  std::string expand_home(const std::string& path) const;

 private:
  void read_files();

  Variables variables_;
  Ini config_;
  Ini credentials_;
  std::string profile_;
  std::string role_;
};

}  // namespace metaflow::net
