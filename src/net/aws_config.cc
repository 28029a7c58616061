#include "net/aws_config.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include <metaflow/error.h>

#include "base/ascii.h"
#include "base/files.h"
#include "base/format.h"
#include "base/text.h"

namespace metaflow::net {

namespace {

const IniSection* find_section(const Ini& ini, const std::string& name) {
  const auto found = ini.find(name);
  return found == ini.end() ? nullptr : &found->second;
}

/// The value without a comment: a '#' or ';' after a blank.
std::string_view without_comment(std::string_view value) {
  for (std::size_t i = 1; i < value.size(); ++i) {
    if ((value[i] == '#' || value[i] == ';') && (value[i - 1] == ' ' || value[i - 1] == '\t'))
      return base::trim(value.substr(0, i));
  }
  return value;
}

}  // namespace

Variables own_variables() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
  };
}

bool is_region(std::string_view name) {
  constexpr std::size_t kLongest = 63;  // limit of a label of a host name
  return !name.empty() && name.size() <= kLongest && std::all_of(name.begin(), name.end(), [](char c) {
    return base::is_lower(c) || base::is_digit(c) || c == '-';
  });
}

Ini parse_ini(std::string_view text) {
  Ini ini;
  IniSection* section = nullptr;
  std::string outer;  // the key that indented lines belong to
  for (const std::string& line : base::split(text, '\n')) {
    const std::string_view content = base::trim(line);
    if (content.empty() || content[0] == '#' || content[0] == ';') continue;
    const bool indented = line[0] == ' ' || line[0] == '\t';
    if (!indented && content[0] == '[') {
      const std::string_view inside = content.substr(1, std::min(content.find(']'), content.size()) - 1);
      // "profile  x" is "profile x".
      section = &ini[base::join(base::split_words(inside), " ")];
      continue;
    }
    const std::size_t equals = content.find('=');
    if (section == nullptr || equals == std::string_view::npos) continue;
    const std::string key = base::lower(base::trim(content.substr(0, equals)));
    std::string value(without_comment(base::trim(content.substr(equals + 1))));
    if (indented && !outer.empty()) {
      (*section)[outer + "." + key] = std::move(value);
    } else {
      outer = key;
      (*section)[key] = std::move(value);
    }
  }
  return ini;
}

AwsConfig::AwsConfig(Variables variables) : variables_(std::move(variables)) {
  read_files();
  auto chosen = variables_("AWS_DEFAULT_PROFILE");
  if (!chosen) chosen = variables_("AWS_PROFILE");
  profile_ = chosen.value_or("default");
  if (chosen && in_config(profile_) == nullptr && in_credentials(profile_) == nullptr) {
    throw Error(
        ErrorCode::invalid_command, fmt::format("There is no AWS profile '{}'", profile_),
        fmt::format("Create it (aws configure --profile {}), or unset AWS_PROFILE.", base::shell_quoted(profile_)));
  }
}

void AwsConfig::read_files() {
  const auto read = [&](const char* variable, const char* file) {
    const std::string path = expand_home(variables_(variable).value_or(file));
    const auto content = base::try_read_file(path);
    return content ? parse_ini(content->text()) : Ini{};
  };
  config_ = read("AWS_CONFIG_FILE", "~/.aws/config");
  credentials_ = read("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials");
}

void AwsConfig::read_again() {
  AwsConfig before = *this;
  read_files();
  if (in_config(profile_) == nullptr && in_credentials(profile_) == nullptr) *this = std::move(before);
}

const IniSection* AwsConfig::in_config(const std::string& profile) const {
  const IniSection* section = find_section(config_, "profile " + profile);
  return section == nullptr && profile == "default" ? find_section(config_, profile) : section;
}

const IniSection* AwsConfig::in_credentials(const std::string& profile) const {
  return find_section(credentials_, profile);
}

const IniSection* AwsConfig::section(const std::string& name) const { return find_section(config_, name); }

std::optional<std::string> AwsConfig::setting(const std::string& profile, const std::string& key) const {
  for (const IniSection* section : {in_credentials(profile), in_config(profile)}) {
    if (section == nullptr) continue;
    const auto found = section->find(key);
    if (found != section->end() && !found->second.empty()) return found->second;
  }
  return std::nullopt;
}

std::optional<std::string> AwsConfig::region() const {
  auto region = variables_("AWS_REGION");
  if (!region) region = variables_("AWS_DEFAULT_REGION");
  if (!region) region = setting(profile_, "region");
  if (region && !is_region(*region))
    throw Error(ErrorCode::invalid_command, fmt::format("'{}' is not an AWS region", *region),
                "Set AWS_REGION to a region, for instance us-east-1.");
  return region;
}

std::optional<std::string> AwsConfig::endpoint(const std::string& service) const {
  const auto ignore = variables_("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
                          .value_or(setting(profile_, "ignore_configured_endpoint_urls").value_or("false"));
  if (base::lower(ignore) == "true") return std::nullopt;
  if (auto url = variables_("AWS_ENDPOINT_URL_" + base::upper(service))) return url;
  if (auto url = variables_("AWS_ENDPOINT_URL")) return url;
  if (const auto services = setting(profile_, "services")) {
    if (const IniSection* section = this->section("services " + *services)) {
      const auto found = section->find(service + ".endpoint_url");
      if (found != section->end() && !found->second.empty()) return found->second;
    }
  }
  return setting(profile_, "endpoint_url");
}

std::string AwsConfig::ca_bundle() const {
  return expand_home(variables_("AWS_CA_BUNDLE").value_or(setting(profile_, "ca_bundle").value_or("")));
}

std::string AwsConfig::home() const {
  if (auto home = variables_("HOME")) return *home;
  const passwd* user = ::getpwuid(::getuid());
  return user == nullptr ? "/" : user->pw_dir;
}

std::string AwsConfig::expand_home(const std::string& path) const {
  return path.starts_with("~/") ? home() + path.substr(1) : path;
}

}  // namespace metaflow::net
