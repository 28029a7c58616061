#include "net/aws_credentials.h"

#include <unistd.h>

#include <algorithm>
#include <exception>
#include <utility>

#include <metaflow/error.h>

#include "base/capture.h"
#include "base/files.h"
#include "base/format.h"
#include "base/hash.h"
#include "base/iso_time.h"
#include "base/json.h"
#include "base/process.h"
#include "base/text.h"
#include "net/aws_sso.h"
#include "net/plain_http.h"
#include "net/xml.h"

namespace metaflow::net {

using std::chrono::milliseconds;

namespace {

// As in botocore: a renewal is attempted from the first one on, and required from the second one on.
constexpr std::int64_t kRenewBefore = 15 * 60;
constexpr std::int64_t kPauseAfterFailure = 30;
constexpr int kDeepestChain = 8;

Error no_keys(const std::string& source, const std::string& why, const std::string& hint = {}) {
  return Error(ErrorCode::invalid_command, fmt::format("Cannot get AWS credentials from {}: {}", source, why), hint);
}

/// A short description of a failed response, without values that it may repeat from the request.
std::string words_of(const Response& response) {
  if (response.failure) return response.failure->text;
  std::string words = fmt::format("HTTP status {}", response.status);
  if (const auto xml = parse_xml(response.body)) {
    const std::string code = xml->text_of("Error/Code");
    if (!code.empty()) words += fmt::format(", {}: {}", code, xml->text_of("Error/Message"));
  } else if (const auto json = base::Json::parse_object(response.body)) {
    for (const char* name : {"message", "Message", "error_description", "error", "code"}) {
      const base::Json& found = (*json)[name];
      if (found.is_text()) return words + ": " + found.text();
    }
  }
  return words;
}

/// Parses {"AccessKeyId": ..., "SecretAccessKey": ..., "Token": ..., "Expiration": ...}, the format of the endpoints
/// and programs.
AwsCredentials parse_json_keys(std::string_view text, const char* token_name, const std::string& source) {
  const base::Json json = base::Json::parse(text).value_or(base::Json());
  const auto field = [&](const char* name) { return json[name].text(); };
  AwsCredentials credentials{{field("AccessKeyId"), field("SecretAccessKey"), field(token_name)}, 0, source};
  if (credentials.keys.access_key.empty() || credentials.keys.secret_key.empty())
    throw no_keys(source, "no AccessKeyId and SecretAccessKey in its output");
  if (const std::string end = field("Expiration"); !end.empty()) {
    const auto expires = base::parse_iso_time(end);
    if (!expires) throw no_keys(source, fmt::format("'{}' is not a valid time", end));
    credentials.expires = *expires;
  }
  return credentials;
}

std::string session_name(std::int64_t now) { return fmt::format("metaflow-cpp-{}-{}", now, ::getpid()); }

}  // namespace

const AwsKeys& AwsCredentialProvider::keys() {
  const std::int64_t time = now();
  if (known() != nullptr && !is_due()) return current_->keys;
  try {
    keep(find());
  } catch (const Error&) {
    if (!current_ || current_->expires <= time) throw;
    next_try_ = time + kPauseAfterFailure;  // the old keys are still valid
  }
  return current_->keys;
}

const AwsKeys* AwsCredentialProvider::known() const {
  return current_ && (current_->expires == 0 || now() < current_->expires) ? &current_->keys : nullptr;
}

bool AwsCredentialProvider::is_due() const {
  const std::int64_t time = now();
  return current_ && current_->expires != 0 && time >= current_->expires - kRenewBefore && time >= next_try_;
}

void AwsCredentialProvider::keep(AwsCredentials&& found) {
  const std::int64_t time = now();
  current_ = std::move(found);
  next_try_ = 0;
  // A service may return keys that are about to expire; repeating the request would not help.
  if (current_->expires != 0 && current_->expires - kRenewBefore <= time)
    next_try_ = time + std::clamp<std::int64_t>((current_->expires - time) / 2, 1, kPauseAfterFailure);
}

bool AwsCredentialProvider::take(FoundAwsCredentials&& found) {
  config_ = std::move(found.config);
  if (found.credentials) {
    keep(std::move(*found.credentials));
    are_machine_keys_ = found.machine_region.has_value();
    machine_region_ = std::move(found.machine_region);
    return true;
  }
  next_try_ = now() + kPauseAfterFailure;
  return known() != nullptr;
}

FoundAwsCredentials find_aws_credentials(AwsConfig config, std::int64_t now) {
  struct Now : base::Clock {
    explicit Now(std::int64_t seconds) : time(seconds * 1'000'000) {}
    std::int64_t wall_microseconds() override { return time; }
    std::int64_t monotonic_microseconds() override { return time; }
    std::int64_t boot_microseconds() override { return time; }
    std::int64_t time;
  };
  FoundAwsCredentials found{.config = std::move(config)};
  try {
    found.config.read_again();
    Now clock(now);
    HttpClient http;
    AwsCredentialProvider provider(http, clock, found.config);
    found.credentials = provider.find();
    if (provider.are_machine_keys_) found.machine_region = provider.region().value_or("");
  } catch (const Error& error) {
    found.error = error;
  } catch (const std::exception& error) {
    found.error = Error(ErrorCode::internal, error.what());
  }
  if (found.error) found.credentials.reset();
  return found;
}

std::optional<std::string> AwsCredentialProvider::region() {
  if (auto region = config_.region()) return region;
  if (!are_machine_keys_) return std::nullopt;
  if (!machine_region_) machine_region_ = machine_metadata("/latest/meta-data/placement/region").value_or("");
  return is_region(*machine_region_) ? machine_region_ : std::nullopt;
}

AwsCredentials AwsCredentialProvider::find() {
  AwsCredentials found = find_without_role();
  if (config_.role().empty()) return found;
  return ask_for_role(found.keys, config_.role(), session_name(now()), {},
                      fmt::format("role '{}' with the credentials of {}", config_.role(), found.source));
}

AwsCredentials AwsCredentialProvider::find_without_role() {
  are_machine_keys_ = false;
  if (auto found = from_environment()) return std::move(*found);
  if (config_.setting(config_.profile(), "role_arn")) {
    if (auto found = from_profile(config_.profile(), 0)) return std::move(*found);
  }
  if (auto found = from_web_identity()) return std::move(*found);
  if (auto found = from_profile(config_.profile(), 0)) return std::move(*found);
  if (auto found = from_container()) return std::move(*found);
  if (auto found = from_machine()) return std::move(*found);
  throw Error(ErrorCode::invalid_command,
              fmt::format("There are no AWS credentials: not in the environment (AWS_ACCESS_KEY_ID, "
                          "AWS_WEB_IDENTITY_TOKEN_FILE, AWS_CONTAINER_CREDENTIALS_*), not in profile '{}', and this "
                          "machine or container has no role",
                          config_.profile()),
              "Run `aws configure` or `aws sso login`, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
              "AWS_SECRET_ACCESS_KEY.");
}

std::optional<AwsCredentials> AwsCredentialProvider::from_environment() const {
  const auto access = config_.variable("AWS_ACCESS_KEY_ID");
  if (!access) return std::nullopt;
  const auto secret = config_.variable("AWS_SECRET_ACCESS_KEY");
  if (!secret) throw no_keys("the environment", "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not");
  auto token = config_.variable("AWS_SESSION_TOKEN");
  if (!token) token = config_.variable("AWS_SECURITY_TOKEN");
  return AwsCredentials{{*access, *secret, token.value_or("")}, 0, "the environment"};
}

std::optional<AwsCredentials> AwsCredentialProvider::from_profile(const std::string& profile, int depth) {
  const std::string source = fmt::format("profile '{}'", profile);
  if (depth > kDeepestChain) throw no_keys(source, "its source_profile refers to itself");
  // A profile that names itself as its source contains the keys for the role.
  const bool own_source = depth > 0 && config_.setting(profile, "source_profile") == profile;
  if (const auto role = config_.setting(profile, "role_arn"); role && !own_source)
    return assume_role(profile, *role, depth);
  if (auto found = from_sso(profile)) return found;
  auto static_keys = [&](const IniSection* section) -> std::optional<AwsCredentials> {
    if (section == nullptr) return std::nullopt;
    auto value = [&](const char* key) {
      const auto found = section->find(key);
      return found == section->end() ? std::string() : found->second;
    };
    const std::string access = value("aws_access_key_id");
    if (access.empty()) return std::nullopt;
    if (value("aws_secret_access_key").empty())
      throw no_keys(source, "aws_access_key_id is set, but aws_secret_access_key is not");
    std::string token = value("aws_session_token");
    if (token.empty()) token = value("aws_security_token");
    return AwsCredentials{{access, value("aws_secret_access_key"), std::move(token)}, 0, source};
  };
  if (auto found = static_keys(config_.in_credentials(profile))) return found;
  if (auto found = from_process(profile)) return found;
  return static_keys(config_.in_config(profile));
}

std::string AwsCredentialProvider::sts_endpoint() const {
  if (auto url = config_.endpoint("sts")) {
    check_keys_are_encrypted(*url, "The endpoint of the AWS service sts", config_.variables());
    return *url;
  }
  const auto region = config_.region();
  if (!region) return "https://sts.amazonaws.com";
  return fmt::format("https://sts.{}.amazonaws.com{}", *region, region->starts_with("cn-") ? ".cn" : "");
}

AwsCredentials AwsCredentialProvider::ask_sts(Request request, const std::string& action, const std::string& source) {
  request.total_timeout = milliseconds(30'000);
  Response response;
  for (int attempt = 0; attempt < 3; ++attempt) {
    response = http_.fetch(request);
    if (response.status != 0 && response.status < 500) break;
  }
  if (!response.ok()) throw no_keys(source, fmt::format("{} failed: {}", action, words_of(response)));
  const auto xml = parse_xml(response.body);
  const XmlElement* keys = xml ? xml->find(action + "Result/Credentials") : nullptr;
  if (keys == nullptr || keys->text_of("AccessKeyId").empty() || keys->text_of("SecretAccessKey").empty())
    throw no_keys(source, fmt::format("{} gave no credentials", action));
  return {{keys->text_of("AccessKeyId"), keys->text_of("SecretAccessKey"), keys->text_of("SessionToken")},
          base::parse_iso_time(keys->text_of("Expiration")).value_or(now() + 900),
          source};
}

AwsCredentials AwsCredentialProvider::assume_role(const std::string& profile, const std::string& role, int depth) {
  const std::string source = fmt::format("profile '{}'", profile);
  auto setting = [&](const char* key) { return config_.setting(profile, key); };
  const std::string session = setting("role_session_name").value_or(session_name(now()));
  if (const auto token_file = setting("web_identity_token_file"))
    return assume_with_web_identity(*token_file, role, session, source);
  if (setting("mfa_serial"))
    throw no_keys(source, "it requires a one-time password (mfa_serial), which cannot be entered here",
                  "Use credential_process, or `aws configure export-credentials`.");
  std::optional<AwsCredentials> base;
  if (const auto source_profile = setting("source_profile")) {
    base = from_profile(*source_profile, depth + 1);
    if (!base) throw no_keys(source, fmt::format("its source_profile '{}' has no credentials", *source_profile));
  } else if (const auto origin = setting("credential_source")) {
    if (*origin == "Environment") base = from_environment();
    if (*origin == "EcsContainer") base = from_container();
    if (*origin == "Ec2InstanceMetadata") base = from_machine();
    if (!base) throw no_keys(source, fmt::format("its credential_source {} has no credentials", *origin));
  } else {
    throw no_keys(source, "it has a role_arn, but neither source_profile nor credential_source");
  }
  Query more;
  if (const auto id = setting("external_id")) more.emplace_back("ExternalId", *id);
  if (const auto seconds = setting("duration_seconds")) more.emplace_back("DurationSeconds", *seconds);
  return ask_for_role(base->keys, role, session, more, source);
}

AwsCredentials AwsCredentialProvider::ask_for_role(const AwsKeys& keys, const std::string& role,
                                                   const std::string& session, const Query& more,
                                                   const std::string& source) {
  Query form{{"Action", "AssumeRole"}, {"Version", "2011-06-15"}, {"RoleArn", role}, {"RoleSessionName", session}};
  form.insert(form.end(), more.begin(), more.end());
  const std::string body = encode_query(form);
  const SignedRequest request = sign({.method = "POST",
                                      .endpoint = sts_endpoint(),
                                      .headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
                                      .payload_sha256 = base::sha256_hex(body)},
                                     keys, {config_.region().value_or("us-east-1"), "sts", now()});
  return ask_sts({.method = "POST", .url = request.url, .headers = request.headers, .body = text_body(body)},
                 "AssumeRole", source);
}

std::optional<AwsCredentials> AwsCredentialProvider::from_web_identity() {
  const auto file = config_.variable("AWS_WEB_IDENTITY_TOKEN_FILE");
  const auto role = config_.variable("AWS_ROLE_ARN");
  if (!file || !role) return std::nullopt;
  return assume_with_web_identity(*file, *role, config_.variable("AWS_ROLE_SESSION_NAME").value_or(session_name(now())),
                                  "the web identity of AWS_WEB_IDENTITY_TOKEN_FILE");
}

AwsCredentials AwsCredentialProvider::assume_with_web_identity(const std::string& token_file, const std::string& role,
                                                               const std::string& session, const std::string& source) {
  const auto token = base::try_read_file(config_.expand_home(token_file));  // others renew the file: read it each time
  if (!token) throw no_keys(source, fmt::format("cannot read {}", token_file));
  const std::string body = encode_query({{"Action", "AssumeRoleWithWebIdentity"},
                                         {"Version", "2011-06-15"},
                                         {"RoleArn", role},
                                         {"RoleSessionName", session},
                                         {"WebIdentityToken", std::string(base::trim(token->text()))}});
  return ask_sts({.method = "POST",
                  .url = sts_endpoint() + "/",
                  .headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
                  .body = text_body(body)},
                 "AssumeRoleWithWebIdentity", source);
}

std::optional<AwsCredentials> AwsCredentialProvider::from_sso(const std::string& profile) {
  if (!config_.setting(profile, "sso_account_id")) return std::nullopt;
  return sso_credentials(http_, config_, profile, now());
}

std::optional<AwsCredentials> AwsCredentialProvider::from_process(const std::string& profile) {
  const auto command = config_.setting(profile, "credential_process");
  if (!command) return std::nullopt;
  const std::string source = fmt::format("the credential_process of profile '{}'", profile);
  std::vector<std::string> words = base::split_words(*command);
  if (words.empty()) throw no_keys(source, "the command is empty");
  const base::Captured captured = base::run_captured(words, base::own_environment(), milliseconds(60'000));
  if (captured.exit_code != 0) {
    const auto lines = base::split(base::trim(captured.err), '\n');
    throw no_keys(source, fmt::format("{} failed with {}: {}", words[0], captured.exit_code, lines.back()));
  }
  const base::Json json = base::Json::parse(captured.out).value_or(base::Json());
  if (json["Version"] != 1) throw no_keys(source, fmt::format("{} did not print version 1 JSON", words[0]));
  return parse_json_keys(captured.out, "SessionToken", source);
}

std::optional<AwsCredentials> AwsCredentialProvider::from_container() {
  const auto relative = config_.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const auto full = config_.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (!relative && !full) return std::nullopt;
  const std::string source = "the container's endpoint";
  const std::string url = relative ? "http://169.254.170.2" + *relative : *full;
  // The authorization token must not be sent to arbitrary hosts.
  const std::string shown = printable_url(url);
  auto is_host = [&](const std::string& host) {
    const std::string front = "http://" + host;
    return shown.starts_with(front + "/") || shown.starts_with(front + ":") || shown == front;
  };
  if (!url.starts_with("https://") && !is_host("127.0.0.1") && !is_host("localhost") && !is_host("[::1]") &&
      !is_host("169.254.170.2") && !is_host("169.254.170.23") && !is_host("[fd00:ec2::23]"))
    throw no_keys(source, fmt::format("{} is neither https nor on this machine", shown));
  Request request{.url = url, .connect_timeout = milliseconds(2'000), .total_timeout = milliseconds(5'000)};
  if (const auto file = config_.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")) {
    const auto token = base::try_read_file(*file);
    if (!token) throw no_keys(source, fmt::format("cannot read {}", *file));
    request.headers.emplace_back("Authorization", base::trim(token->text()));
  } else if (const auto token = config_.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN")) {
    request.headers.emplace_back("Authorization", *token);
  }
  if (!url.starts_with("https://")) request.proxy = "";
  Response response;
  for (int attempt = 0; attempt < 3 && !response.ok(); ++attempt) response = http_.fetch(request);
  if (!response.ok()) throw no_keys(source, words_of(response));
  return parse_json_keys(response.body, "Token", source);
}

std::optional<std::string> AwsCredentialProvider::machine_metadata(const std::string& path) {
  const std::string endpoint = config_.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT").value_or("http://169.254.169.254");
  const std::string base = endpoint.ends_with('/') ? endpoint.substr(0, endpoint.size() - 1) : endpoint;
  // One attempt with a short timeout: most machines have no such service, and from many containers it does not answer.
  auto ask = [&](const std::string& method, const std::string& where, Headers headers) {
    Request request{.method = method,
                    .url = base + where,
                    .headers = std::move(headers),
                    .connect_timeout = milliseconds(1'000),
                    .total_timeout = milliseconds(2'000),
                    .proxy = ""};
    if (method == "PUT") request.body = Body{};
    return http_.fetch(std::move(request));
  };
  const Response token = ask("PUT", "/latest/api/token", {{"X-aws-ec2-metadata-token-ttl-seconds", "21600"}});
  if (!token.ok()) return std::nullopt;
  const Response answer = ask("GET", path, {{"X-aws-ec2-metadata-token", token.body}});
  return answer.ok() ? std::optional<std::string>(base::trim(answer.body)) : std::nullopt;
}

std::optional<AwsCredentials> AwsCredentialProvider::from_machine() {
  if (base::lower(config_.variable("AWS_EC2_METADATA_DISABLED").value_or("")) == "true") return std::nullopt;
  const std::string path = "/latest/meta-data/iam/security-credentials/";
  const auto role = machine_metadata(path);
  if (!role || role->empty()) return std::nullopt;
  const auto keys = machine_metadata(path + base::split(*role, '\n').front());
  const std::string source = "the machine's metadata service";
  if (!keys) throw no_keys(source, fmt::format("role {} has no credentials", *role));
  are_machine_keys_ = true;
  return parse_json_keys(*keys, "Token", source);
}

}  // namespace metaflow::net
