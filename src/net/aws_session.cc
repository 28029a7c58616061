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

constexpr std::int64_t kSearchInterval = 10;  // seconds between searches that find the same keys
constexpr std::int64_t kTolerance = 4 * 60;   // seconds of tolerated clock error; AWS accepts 5 minutes

bool differ(const AwsKeys& one, const AwsKeys& other) {
  return one.access_key != other.access_key || one.session_token != other.session_token;
}

}  // namespace

AwsSession::AwsSession(base::Clock& clock, AwsConfig config) : clock_(clock), config_(std::move(config)) {
  const std::string bundle = config_.ca_bundle();
  if (!bundle.empty()) tls_ = std::make_shared<const Tls>(Tls{.ca_file = bundle});
}

AwsSession::~AwsSession() = default;

AwsCredentialProvider& AwsSession::provider() {
  if (!provider_) {
    http_ = std::make_unique<HttpClient>();
    provider_ = std::make_unique<AwsCredentialProvider>(*http_, clock_, config_);
  }
  return *provider_;
}

void AwsSession::attach(base::EventLoop& loop) {
  if (attached_++ == 0) work_ = std::make_unique<base::BackgroundWork>(loop);
}

/// Callers that waited no longer exist, or are about to end.
void AwsSession::detach() {
  if (--attached_ > 0) return;
  work_.reset();
  waiting_.clear();
  searching_ = false;
}

AwsSession::Keys AwsSession::wait_for_keys() {
  Keys found{.may_recover = had_keys_};
  try {
    found.keys = &keys();
  } catch (const Error& error) {
    found.error = error;
  }
  return found;
}

void AwsSession::get_keys(KeysCallback done) {
  const AwsKeys* known = provider().known();
  if (known == nullptr || provider().is_due()) start_search();
  if (known != nullptr) return done({.keys = known});
  waiting_.push_back(std::move(done));
}

/// On another thread: services may be slow, and programs may prompt the user.
void AwsSession::start_search() {
  if (std::exchange(searching_, true)) return;
  const auto found = std::make_shared<FoundAwsCredentials>(FoundAwsCredentials{.config = config_});
  work_->start([found, now = clock_.wall_microseconds() /
                             1'000'000] { *found = find_aws_credentials(std::move(found->config), now); },
               [this, found] { search_done(std::move(*found)); });
}

void AwsSession::search_done(FoundAwsCredentials&& found) {
  searching_ = false;
  const std::optional<Error> error = found.error;
  const bool good = provider().take(std::move(found));
  Keys result{.keys = provider().known(), .may_recover = had_keys_};
  if (!good || result.keys == nullptr) {
    result.keys = nullptr;
    result.error = error ? *error
                         : Error(ErrorCode::invalid_command,
                                 fmt::format("The AWS keys from {} have expired already", provider().source()));
  }
  had_keys_ = had_keys_ || result.keys != nullptr;
  for (const KeysCallback& done : std::exchange(waiting_, {})) done(result);
}

const std::string& AwsSession::region() {
  if (region_.empty()) {
    auto found = config_.region();
    if (!found) {
      keys();  // the machine's region is requested only with its keys
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
  keys();
  return provider().expires();
}

const AwsKeys& AwsSession::keys() {
  const AwsKeys* known = provider().known();
  if (work_ && known != nullptr) {
    if (provider().is_due()) start_search();
    return *known;
  }
  const AwsKeys& found = provider().keys();
  had_keys_ = true;
  return found;
}

const AwsKeys& AwsSession::keys_without_waiting() {
  if (!work_ || provider().known() != nullptr) return keys();
  start_search();
  throw Error(ErrorCode::invalid_command, "The AWS keys have expired, and are being renewed");
}

std::string AwsSession::source() { return provider().source(); }

bool AwsSession::renew(const AwsKeys& refused) {
  if (!work_) {
    provider().forget();
    return differ(provider().keys(), refused);
  }
  const AwsKeys* known = provider().known();
  if (known == nullptr || differ(*known, refused)) return true;
  const std::int64_t now = clock_.wall_microseconds() / 1'000'000;
  if (now < refused_until_ && !differ(refused_, refused)) return false;
  refused_ = refused;
  refused_until_ = now + kSearchInterval;
  provider().forget();  // the next call searches other keys
  return true;
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
                  fmt::format("The endpoint '{}' of the AWS service {} is not a URL", *configured, service),
                  "Set AWS_ENDPOINT_URL to a URL that begins with https:// or http://.");
    check_keys_are_encrypted(*configured, fmt::format("The endpoint of the AWS service {}", service),
                             config_.variables());
    return *configured;
  }
  return fmt::format("https://{}.{}.amazonaws.com{}", service, region(), region().starts_with("cn-") ? ".cn" : "");
}

}  // namespace metaflow::net
