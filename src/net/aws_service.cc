#include "net/aws_service.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/format.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"
#include "base/utf8.h"

namespace metaflow::net {

namespace {

constexpr std::size_t kMaxWords = 2000;

bool is_one_of(std::string_view code, std::initializer_list<std::string_view> codes) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

/// Throttled. Services also answer such calls with status 400.
bool is_throttling(std::string_view code) {
  return is_one_of(code, {"ThrottlingException", "ThrottledException", "Throttling", "TooManyRequestsException",
                          "RequestLimitExceeded", "RequestThrottledException", "SlowDown"});
}

bool is_stale_key(std::string_view code) {
  return is_one_of(code, {"ExpiredTokenException", "ExpiredToken", "InvalidToken", "TokenRefreshRequired",
                          "UnrecognizedClientException", "InvalidClientTokenId"});
}

bool is_wrong_time(std::string_view code) {
  return is_one_of(code, {"InvalidSignatureException", "SignatureDoesNotMatch", "RequestTimeTooSkewed",
                          "RequestExpired", "AuthFailure"});
}

/// The error code is in a header ("ClientException:http://internal.amazon.com/...") or in the body
/// ("com.amazonaws.logs#ResourceNotFoundException").
std::string code_of(const Response& response, const base::Json& body) {
  std::string code(response.header("x-amzn-errortype").value_or(""));
  if (code.empty()) code = body["__type"].text();
  if (code.empty()) code = body["code"].text();
  code = code.substr(0, code.find(':'));
  return code.substr(code.find('#') + 1, kMaxWords);  // npos + 1 is 0
}

/// The error message on one line.
std::string message_of(const std::string& text, const base::Json& body) {
  std::string message = body["message"].text();
  if (message.empty()) message = body["Message"].text();
  if (message.empty() && !body.is_object()) return plain_text(text);
  return on_one_line(base::replace_invalid_utf8(message.substr(0, kMaxWords)));
}

}  // namespace

class AwsService::Running : public ServiceCall {
 public:
  Running(AwsService& service, AwsCall call, Done done)
      : service_(service),
        call_(std::move(call)),
        body_(std::make_shared<const std::string>(std::move(call_.body))),
        done_(std::move(done)) {}

  void prepare(const Ready& ready) override {
    service_.session_.get_keys([this, ready, alive = std::weak_ptr(alive_)](const AwsSession::Keys& found) {
      if (!alive.expired()) send(ready, found);
    });
  }

  Decision evaluate(Response&& response) override {
    if (response.ok()) {
      answer_ = {.body = std::move(response.body)};
      return {};
    }
    answer_ = {.failure = service_.failure_of(call_, response)};
    const CallFailure& failure = *answer_.failure;
    if (can_fix(failure, response)) return {.next = Next::retry_now};
    const bool arrived = response.failure ? response.failure->may_have_arrived : response.status >= 500;
    if (!failure.transient || (arrived && !call_.may_repeat)) return {};
    return {.next = Next::retry};
  }

  void on_retry(std::int64_t delay) override {
    if (service_.options_.on_retry) service_.options_.on_retry(*answer_.failure, delay);
  }

  void finish(bool may_have_executed) override {
    answer_.may_have_executed = may_have_executed;
    if (done_) done_(std::move(answer_));
  }

 private:
  void send(const Ready& ready, const AwsSession::Keys& found) {
    std::optional<Error> error = found.error;
    try {
      if (!error) return ready({.request = signed_request(*found.keys)});
    } catch (const Error& wrong) {  // the region or the endpoint is invalid
      error = wrong;
    }
    answer_ = {.failure = CallFailure{.message = error->message(),
                                      .text = fmt::format("Cannot {}: {}", call_.words, error->message()),
                                      .hint = error->hint(),
                                      .transient = found.may_recover}};
    ready({.transient = found.may_recover});
  }

  Request signed_request(const AwsKeys& keys) {
    AwsSession& session = service_.session_;
    const AwsServiceOptions& options = service_.options_;
    keys_ = keys;
    AwsRequest plain{.method = "POST",
                     .endpoint = session.endpoint(options.name, options.configured_as),
                     .path = call_.path,
                     .headers = call_.headers,
                     .payload_sha256 = base::sha256_hex(*body_)};
    // The path of an endpoint comes before the call's path.
    if (const std::size_t slash = plain.endpoint.find('/', plain.endpoint.find("://") + 3);
        slash != std::string::npos) {
      plain.path = plain.endpoint.substr(slash) + plain.path;
      plain.endpoint.resize(slash);
    }
    plain.headers.emplace_back("Content-Type", call_.content_type);
    SignedRequest ready = sign(plain, keys_, {session.region(), options.name, session.signing_time()});
    return {.method = "POST",
            .url = std::move(ready.url),
            .headers = std::move(ready.headers),
            .body = Body{.pieces = {base::as_bytes(*body_)}, .owner = body_},
            .tls = session.tls()};
  }

  /// Whether other keys or a corrected clock would help; obtains them at once.
  bool can_fix(const CallFailure& failure, const Response& response) {
    if (response.failure || std::exchange(cured_, true)) return false;
    try {
      if (is_stale_key(failure.code)) return service_.session_.renew(keys_);
      return is_wrong_time(failure.code) && service_.session_.correct_clock(response);
    } catch (const Error&) {  // no other keys
      return false;
    }
  }

  AwsService& service_;
  AwsCall call_;
  std::shared_ptr<const std::string> body_;
  Done done_;
  AwsAnswer answer_;
  AwsKeys keys_;
  bool cured_ = false;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);  // expires with this object
};

AwsService::AwsService(base::EventLoop& loop, base::Clock& clock, AwsSession& session, AwsServiceOptions options,
                       std::function<double()> random)
    : session_(session),
      options_(std::move(options)),
      http_({.connections_per_host = options_.limits.calls_at_a_time}),
      queue_(loop, clock, http_, options_.limits, std::move(random)) {
  http_.attach(loop);
  session_.attach(loop);
  if (options_.configured_as.empty()) options_.configured_as = options_.name;
  if (options_.permissions.empty()) options_.permissions = options_.name;
}

AwsService::~AwsService() { session_.detach(); }

AwsService::Id AwsService::start(AwsCall call, Done done) {
  std::string kind = call.operation;
  return queue_.start({.call = std::make_unique<Running>(*this, std::move(call), std::move(done)), .kind = kind});
}

CallFailure AwsService::failure_of(const AwsCall& call, const Response& response) const {
  CallFailure failure{.status = response.failure ? 0 : response.status, .transient = is_transient(response)};
  if (response.failure) {
    failure.message = response.failure->text;
    failure.text = fmt::format("Cannot {}: {}", call.words, failure.message);
    failure.hint =
        "Check the network and the region: AWS_REGION, AWS_ENDPOINT_URL and https_proxy determine the address.";
    return failure;
  }
  const auto body = base::Json::parse_object(response.body).value_or(base::Json());
  failure.code = code_of(response, body);
  failure.message = message_of(response.body, body);
  failure.transient = failure.transient || is_throttling(failure.code);
  failure.text = fmt::format("Cannot {}: {} ({}{}{})", call.words,
                             failure.message.empty() ? "the service refused" : failure.message, failure.status,
                             failure.code.empty() ? "" : " ", failure.code);
  if (is_stale_key(failure.code) || is_wrong_time(failure.code)) {
    failure.hint = fmt::format("AWS rejected the keys from {}: log in again.", session_.source());
  } else if (failure.status == 401 || failure.status == 403 || failure.code.starts_with("AccessDenied")) {
    failure.hint = fmt::format("The AWS keys from {} need the permission {}:{}.", session_.source(),
                               options_.permissions, call.operation);
  }
  return failure;
}

}  // namespace metaflow::net
