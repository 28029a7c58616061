#include "net/aws_session.h"

#include <cstdlib>
#include <utility>

#include <metaflow/error.h>

#include "base/format.h"
#include "base/iso_time.h"
#include "net/plain_http.h"
#include "net/retry.h"

namespace metaflow::net {

namespace {

constexpr std::int64_t kTolerance = 4 * 60;  // seconds that a clock may be wrong; AWS accepts 5 minutes

}  // namespace

AwsSession::AwsSession(base::Clock& clock, AwsConfig config) : clock_(clock), config_(std::move(config)) {
  const std::string bundle = config_.ca_bundle();
  if (!bundle.empty()) tls_ = std::make_shared<const Tls>(Tls{.ca_file = bundle});
}

AwsSession::AwsSession(base::Clock& clock, AwsConfig config, HttpClient& http) : AwsSession(clock, std::move(config)) {
  http_ = &http;
}

AwsSession::~AwsSession() = default;

AwsCredentialProvider& AwsSession::provider() {
  if (!provider_) {
    if (http_ == nullptr) {
      own_http_ = std::make_unique<HttpClient>();
      http_ = own_http_.get();
    }
    provider_ = std::make_unique<AwsCredentialProvider>(*http_, clock_, config_);
  }
  return *provider_;
}

const std::string& AwsSession::region() {
  if (region_.empty()) {
    auto found = config_.region();
    if (!found) {
      provider().keys();  // only with the keys of a machine is its region asked for
      found = provider().region();
    }
    if (!found)
      throw Error(ErrorCode::invalid_command, "No AWS region is configured", "Set AWS_REGION, or run `aws configure`.");
    region_ = std::move(*found);
  }
  return region_;
}

std::optional<std::string> AwsSession::known_region() { return provider().region(); }

std::int64_t AwsSession::keys_expire() {
  provider().keys();
  return provider().expires();
}

const AwsKeys& AwsSession::keys() { return provider().keys(); }

std::string AwsSession::source() { return provider().source(); }

bool AwsSession::renew(const AwsKeys& refused) {
  provider().forget();
  const AwsKeys& now = provider().keys();
  return now.access_key != refused.access_key || now.session_token != refused.session_token;
}

std::int64_t AwsSession::signing_time() { return clock_.wall_microseconds() / 1'000'000 + clock_offset_; }

bool AwsSession::correct_clock(const Response& response) {
  const auto date = response.header("date");
  const auto server = date ? base::parse_http_date(*date) : std::nullopt;
  if (!server || std::abs(*server - signing_time()) < kTolerance) return false;
  clock_offset_ = *server - clock_.wall_microseconds() / 1'000'000;
  return true;
}

std::string AwsSession::endpoint(const std::string& service, const std::string& configured_as) {
  if (auto configured = config_.endpoint(configured_as)) {
    while (configured->ends_with('/')) configured->pop_back();
    if (!configured->starts_with("http://") && !configured->starts_with("https://"))
      throw Error(ErrorCode::invalid_command,
                  fmt::format("The endpoint '{}' of AWS's service {} is no URL", *configured, service),
                  "Set AWS_ENDPOINT_URL to one that begins with https:// or http://.");
    check_keys_may_go_to(*configured, fmt::format("The endpoint of AWS's service {}", service), config_.variables());
    return *configured;
  }
  return fmt::format("https://{}.{}.amazonaws.com{}", service, region(), region().starts_with("cn-") ? ".cn" : "");
}

}  // namespace metaflow::net
