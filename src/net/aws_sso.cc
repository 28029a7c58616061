#include "net/aws_sso.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include <metaflow/error.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/format.h"
#include "base/hash.h"
#include "base/iso_time.h"
#include "base/json.h"
#include "base/percent.h"
#include "base/text.h"
#include "net/plain_http.h"

namespace metaflow::net {

using base::Json;
using std::chrono::milliseconds;

namespace {

constexpr std::int64_t kRenewBefore = 15 * 60;

/// Replaces a file by one that only its owner can read. Best effort: the next login writes a new one.
void replace_private_file(const std::string& path, const std::string& text) {
  const std::string temporary = fmt::format("{}.{}.tmp", path, ::getpid());
  {
    const base::Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd) return;
    if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      ::unlink(temporary.c_str());
      return;
    }
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) ::unlink(temporary.c_str());
}

std::string endpoint_of(const AwsConfig& config, const std::string& service, const char* host,
                        const std::string& region) {
  if (auto url = config.endpoint(service)) {
    check_keys_are_encrypted(*url, "The endpoint of AWS's single sign-on", config.variables());
    return *url;
  }
  return fmt::format("https://{}.{}.amazonaws.com", host, region);
}

}  // namespace

AwsCredentials sso_credentials(HttpClient& http, const AwsConfig& config, const std::string& profile,
                               std::int64_t now) {
  const std::string source = fmt::format("single sign-on (profile '{}')", profile);
  const auto session = config.setting(profile, "sso_session");
  auto setting = [&](const char* key) -> std::string {
    if (session) {
      if (const IniSection* section = config.section("sso-session " + *session)) {
        if (const auto found = section->find(key); found != section->end()) return found->second;
      }
    }
    return config.setting(profile, key).value_or("");
  };
  auto fail = [&](const std::string& why) {
    return Error(ErrorCode::invalid_command, fmt::format("Cannot get AWS credentials from {}: {}", source, why),
                 fmt::format("Log in: aws sso login --profile {}", profile));
  };
  const std::string start_url = setting("sso_start_url");
  const std::string region = setting("sso_region");
  if (start_url.empty() || region.empty()) throw fail("sso_start_url or sso_region is missing");
  if (!is_region(region)) throw fail(fmt::format("sso_region '{}' is not an AWS region", region));

  const std::string cache_key = session ? *session : start_url;
  const std::string path = fmt::format("{}/.aws/sso/cache/{}.json", config.home(), base::sha1_hex(cache_key));
  const auto file = base::try_read_file(path);
  Json token = file ? Json::parse(file->text()).value_or(Json()) : Json();
  if (token["accessToken"].text().empty()) throw fail("no login found");

  const std::int64_t ends = base::parse_iso_time(token["expiresAt"].text()).value_or(0);
  if (ends - kRenewBefore <= now && !token["refreshToken"].text().empty() &&
      base::parse_iso_time(token["registrationExpiresAt"].text()).value_or(0) > now) {
    const Json form{{"clientId", token["clientId"].text()},
                    {"clientSecret", token["clientSecret"].text()},
                    {"grantType", "refresh_token"},
                    {"refreshToken", token["refreshToken"].text()}};
    const Response response = http.fetch({.method = "POST",
                                          .url = endpoint_of(config, "sso_oidc", "oidc", region) + "/token",
                                          .headers = {{"Content-Type", "application/json"}},
                                          .body = text_body(form.dump()),
                                          .total_timeout = milliseconds(30'000)});
    const Json fresh = response.ok() ? Json::parse(response.body).value_or(Json()) : Json();
    if (!fresh["accessToken"].text().empty()) {
      token.set("accessToken", fresh["accessToken"].text());
      const std::int64_t lasts = fresh["expiresIn"].integer().value_or(0);
      token.set("expiresAt", base::utc_time((now + lasts) * 1'000'000).substr(0, 19) + "Z");
      // The old token may be invalid from now on: other tools must find the new one.
      if (!fresh["refreshToken"].text().empty()) token.set("refreshToken", fresh["refreshToken"].text());
      replace_private_file(path, token.sorted().dump());
    } else if (ends <= now) {
      throw fail("the login has expired, and could not be renewed");
    }
  } else if (ends <= now) {
    throw fail("the login has expired");
  }

  const Response response = http.fetch({.url = fmt::format("{}/federation/credentials?role_name={}&account_id={}",
                                                           endpoint_of(config, "sso", "portal.sso", region),
                                                           base::percent_encode(setting("sso_role_name")),
                                                           base::percent_encode(setting("sso_account_id"))),
                                        .headers = {{"x-amz-sso_bearer_token", token["accessToken"].text()}},
                                        .total_timeout = milliseconds(30'000)});
  if (!response.ok())
    throw fail(response.failure ? response.failure->text : fmt::format("HTTP status {}", response.status));
  const Json answer = Json::parse(response.body).value_or(Json());
  const Json& keys = answer["roleCredentials"];
  if (keys["accessKeyId"].text().empty() || keys["secretAccessKey"].text().empty())
    throw fail("the response has no credentials");
  return {{keys["accessKeyId"].text(), keys["secretAccessKey"].text(), keys["sessionToken"].text()},
          keys["expiration"].integer().value_or(0) / 1000,
          source};
}

}  // namespace metaflow::net
