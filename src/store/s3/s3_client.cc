#include "store/s3/s3_client.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/hash.h"
#include "base/text.h"
#include "net/aws_session.h"
#include "net/call_queue.h"
#include "net/xml.h"
#include "store/s3/content_range.h"

namespace metaflow::store {

using std::chrono::milliseconds;

namespace {

bool is_https(const std::string& endpoint) { return !endpoint.starts_with("http://"); }

/// Whether an error with this code may disappear at the next attempt.
bool is_transient_code(std::string_view code) {
  static constexpr std::string_view kTransient[] = {"RequestTimeout",     "SlowDown",
                                                    "OperationAborted",   "InternalError",
                                                    "ServiceUnavailable", "ConditionalRequestConflict"};
  return std::find(std::begin(kTransient), std::end(kTransient), code) != std::end(kTransient);
}

/// Whether other keys may help.
bool is_stale_key(std::string_view code) {
  static constexpr std::string_view kStale[] = {"ExpiredToken", "TokenRefreshRequired", "InvalidToken",
                                                "ExpiredTokenException"};
  return std::find(std::begin(kStale), std::end(kStale), code) != std::end(kStale);
}

std::string hash_of(const std::optional<net::Body>& body) {
  if (!body) return base::sha256_hex("");
  base::Sha256 hash;
  for (const auto& piece : body->pieces) hash.update(piece);
  if (body->fd >= 0) {
    std::vector<std::byte> buffer(std::min<std::uint64_t>(body->fd_size, 1U << 20U));
    for (std::uint64_t at = 0; at < body->fd_size;) {
      const ssize_t count = ::pread(body->fd, buffer.data(), std::min<std::uint64_t>(buffer.size(), body->fd_size - at),
                                    static_cast<off_t>(body->fd_offset + at));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) break;  // the transfer reports it
      hash.update(std::span(buffer.data(), static_cast<std::size_t>(count)));
      at += static_cast<std::uint64_t>(count);
    }
  }
  return base::hex(hash.digest());
}

/// Reads the error from the answer. Some operations answer with 200 before they know their result.
void read_error(S3Response& response) {
  const auto xml = net::parse_xml(response.body);
  if (!xml || xml->name != "Error") return;
  response.code = xml->text_of("Code");
  response.message = xml->text_of("Message");
  if (response.ok()) response.status = is_transient_code(response.code) ? 500 : 400;
}

/// The fault in an answer to a request for a part of an object; empty: none.
std::string fault_of(const S3Response& response, const S3Range& wanted) {
  if (response.status == 200) return {};
  const auto range = parse_content_range(response.header("content-range").value_or(""));
  if (response.status != 206 || !range) return "the server sent no valid Content-Range";
  const std::uint64_t last = std::min(wanted.begin + (wanted.size - 1), range->total - 1);
  if (range->first != wanted.begin || range->last != last)
    return fmt::format("received bytes {} to {} instead of {} to {}", range->first, range->last, wanted.begin, last);
  if (response.received != range->size())
    return fmt::format("received {} bytes instead of {}", response.received, range->size());
  return {};
}

}  // namespace

/// State that belongs to one process and is not needed before the first request.
struct S3Client::Engine {
  Engine(const S3Options& options, base::Clock& clock, std::shared_ptr<net::AwsSession> aws_session,
         base::EventLoop* somebodies)
      : own_loop(somebodies == nullptr ? std::make_unique<base::EventLoop>(clock) : nullptr),
        loop(somebodies == nullptr ? *own_loop : *somebodies),
        http({.connections_per_host = options.transfers, .connections_kept = 2 * options.transfers}),
        session(std::move(aws_session)),
        queue(loop, clock, http,
              {.calls_per_second = 0, .calls_at_a_time = options.transfers, .retry = options.retry}) {
    http.attach(loop);
  }

  std::unique_ptr<base::EventLoop> own_loop;
  base::EventLoop& loop;
  net::HttpClient http;
  std::shared_ptr<net::AwsSession> session;
  net::CallQueue queue;  // last: destroyed first, and with it all callbacks
};

class S3Client::Running : public net::ServiceCall {
 public:
  Running(S3Client& client, S3Request request, std::function<void(S3Response&&)> done)
      : client_(client), request_(std::move(request)), done_(std::move(done)) {}

  void prepare(const Ready& ready) override {
    if (client_.loop_ == nullptr) return send(ready, client_.session_->wait_for_keys());
    client_.session_->get_keys([this, ready, alive = std::weak_ptr(alive_)](const net::AwsSession::Keys& found) {
      if (!alive.expired()) send(ready, found);
    });
  }

  Decision evaluate(net::Response&& plain) override {
    response_ = S3Response{std::move(plain)};
    if (!response_.failure && !response_.body.empty() && (!response_.ok() || request_.method != "GET"))
      read_error(response_);
    if (request_.range && response_.ok()) {
      if (std::string fault = fault_of(response_, *request_.range); !fault.empty())
        response_.failure = net::Failure{.cause = net::Cause::truncated, .text = std::move(fault)};
    }
    if (net::is_transient(response_) || is_transient_code(response_.code)) return {.next = Next::retry};
    if (response_.ok() || fixed_ || !fix_and_retry()) return {};
    fixed_ = true;
    return {.next = Next::retry_now};
  }

  void on_retry(std::int64_t) override {
    // A 5xx of a gateway does not tell whether the server behind it carried the request out.
    lost_reply_ = lost_reply_ || (response_.failure ? response_.failure->may_have_arrived : response_.status >= 500);
  }

  void finish(bool) override {
    if (no_keys_) throw *no_keys_;
    response_.after_lost_reply = lost_reply_;
    done_(std::move(response_));
  }

 private:
  void send(const Ready& ready, const net::AwsSession::Keys& found) {
    no_keys_ = found.error;
    if (no_keys_ && !found.may_recover) throw *no_keys_;
    if (no_keys_) return ready({.transient = true});
    keys_ = *found.keys;
    net::AwsRequest plain = client_.address(request_.method, request_.bucket, request_.key);
    plain.query = request_.query;
    plain.headers = request_.headers;
    if (const auto& range = request_.range) {
      plain.headers.emplace_back("Range", fmt::format("bytes={}-{}", range->begin, range->begin + (range->size - 1)));
    }
    // TLS protects the body on its way. Without TLS, its signature does.
    if (is_https(plain.endpoint) && request_.body && request_.body->size() > 0) {
      plain.payload_sha256 = net::kUnsignedPayload;
    } else {
      if (payload_hash_.empty()) payload_hash_ = hash_of(request_.body);
      plain.payload_sha256 = payload_hash_;
    }
    net::SignedRequest signed_request =
        net::sign(plain, keys_, {client_.region_of(request_.bucket), "s3", client_.session_->signing_time()});
    ready({.request = net::Request{.method = request_.method,
                                   .url = std::move(signed_request.url),
                                   .headers = std::move(signed_request.headers),
                                   .body = request_.body,
                                   .choose_sink = request_.choose_sink,
                                   .idle_timeout = milliseconds(30'000),
                                   // The begin and the end of a multipart upload may take the server long.
                                   .min_speed = request_.method == "POST" ? 1U : net::kMinSpeed,
                                   .tls = client_.options_.tls}});
  }

  /// Fixes the cause for which the server refused the request, if possible; returns whether to retry.
  bool fix_and_retry() {
    const int status = response_.status;
    if (status < 300 || status >= 500 || status == 404 || status == 412) return false;
    if (client_.learn_region(request_.bucket, response_)) return true;
    net::AwsSession& session = *client_.session_;
    if (session.correct_clock(response_)) return true;
    // The answer to a HEAD has no body, so no error code.
    const bool wordless = request_.method == "HEAD" && (status == 400 || status == 403);
    return (wordless || is_stale_key(response_.code)) && session.renew(keys_);
  }

  S3Client& client_;
  S3Request request_;
  std::function<void(S3Response&&)> done_;
  S3Response response_;
  net::AwsKeys keys_;         // the keys of the last attempt
  std::string payload_hash_;  // empty: not needed yet
  bool fixed_ = false;        // a cause was fixed; this is done only once
  bool lost_reply_ = false;
  std::optional<Error> no_keys_;                                            // of the last attempt
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);  // expires with this object
};

S3Client::S3Client(S3Options options, base::Clock& clock, net::AwsConfig config,
                   std::shared_ptr<net::AwsSession> session)
    : options_(std::move(options)), clock_(clock), config_(std::move(config)), session_(std::move(session)) {}

S3Client::~S3Client() {
  if (engine_ && process_ != ::getpid()) leave_to_parent();
  engine_.reset();
  if (loop_ != nullptr && session_) session_->detach();
}

void S3Client::attach(base::EventLoop& loop) {
  loop_ = &loop;
  session()->attach(loop);
}

std::shared_ptr<net::AwsSession> S3Client::session() {
  engine();
  return session_;
}

/// The connections belong to the parent of this forked process, which must not even close them.
void S3Client::leave_to_parent() {
  static auto& left = *new std::vector<std::unique_ptr<Engine>>;  // never destroyed, and reachable for leak checkers
  left.push_back(std::move(engine_));
  session_.reset();
  loop_ = nullptr;
}

S3Client::Engine& S3Client::engine() {
  if (engine_ && process_ != ::getpid()) leave_to_parent();
  if (!engine_) {
    process_ = ::getpid();
    if (!session_) session_ = std::make_shared<net::AwsSession>(clock_, config_);
    engine_ = std::make_unique<Engine>(options_, clock_, session_, loop_);
  }
  return *engine_;
}

std::string S3Client::region_of(const std::string& bucket) {
  if (const auto found = regions_.find(bucket); found != regions_.end()) return found->second;
  if (options_.region.empty()) options_.region = session()->known_region().value_or("us-east-1");
  return options_.region;
}

net::AwsRequest S3Client::address(const std::string& method, const std::string& bucket, const std::string& key) {
  net::AwsRequest request{.method = method};
  if (!options_.endpoint.empty()) {
    // Compatible servers expect the bucket in the path, behind the path of the endpoint.
    const std::size_t path = options_.endpoint.find('/', options_.endpoint.find("://") + 3);
    request.endpoint = options_.endpoint.substr(0, path);
    request.path = (path == std::string::npos ? "" : options_.endpoint.substr(path)) + "/" + bucket + "/" + key;
    return request;
  }
  const std::string region = region_of(bucket);
  const std::string host = fmt::format("s3.{}.amazonaws.com{}", region, region.starts_with("cn-") ? ".cn" : "");
  if (bucket.find('.') != std::string::npos) {  // wildcard certificates cover only one level
    request.endpoint = "https://" + host;
    request.path = "/" + bucket + "/" + key;
  } else {
    request.endpoint = fmt::format("https://{}.{}", bucket, host);
    request.path = "/" + key;
  }
  return request;
}

void S3Client::start(S3Request request, std::function<void(S3Response&&)> done) {
  engine().queue.start({.call = std::make_unique<Running>(*this, std::move(request), std::move(done))});
}

S3Response S3Client::perform(S3Request request) {
  std::optional<S3Response> answer;
  start(std::move(request), [&](S3Response&& response) { answer = std::move(response); });
  finish();
  return std::move(*answer);
}

void S3Client::finish() {
  if (!engine_) return;
  Engine& engine = this->engine();
  try {
    while (engine.queue.in_flight() > 0) engine.loop.run_once();
  } catch (...) {
    // Requests in flight refer to memory of their callers, which is about to be freed.
    engine.queue.cancel_all();
    throw;
  }
}

bool S3Client::finish_within(milliseconds most) {
  if (!engine_) return true;
  Engine& engine = this->engine();
  bool is_over = false;
  const auto timer = engine.loop.after(std::max<std::int64_t>(most.count(), 1) * 1'000, [&] { is_over = true; });
  try {
    while (engine.queue.in_flight() > 0 && !is_over) engine.loop.run_once();
  } catch (...) {
    engine.loop.cancel(timer);
    engine.queue.cancel_all();
    throw;
  }
  engine.loop.cancel(timer);
  return engine.queue.in_flight() == 0;
}

void S3Client::cancel() {
  if (engine_) engine().queue.cancel_all();
}

void S3Client::poll() {
  if (!engine_) return;
  Engine& engine = this->engine();
  try {
    engine.loop.poll();
  } catch (...) {
    engine.queue.cancel_all();
    throw;
  }
}

bool S3Client::learn_region(const std::string& bucket, const S3Response& response) {
  std::string region(response.header("x-amz-bucket-region").value_or(""));
  if (region.empty()) {
    if (const auto xml = net::parse_xml(response.body)) region = xml->text_of("Region");
  }
  if (!net::is_region(region) || region == region_of(bucket)) return false;
  regions_[bucket] = region;
  return true;
}

std::string S3Client::presign(const std::string& method, const std::string& bucket, const std::string& key,
                              std::int64_t seconds) {
  const std::shared_ptr<net::AwsSession> session = this->session();
  const net::AwsKeys keys = session->keys_without_waiting();
  return net::presign(address(method, bucket, key), keys, {region_of(bucket), "s3", session->signing_time()}, seconds);
}

std::int64_t S3Client::keys_expire() { return session()->keys_expire(); }

Error S3Client::error(std::string_view operation, const std::string& bucket, const std::string& key,
                      const S3Response& response) const {
  std::string why;
  if (response.failure) {
    why = response.failure->text;
  } else if (!response.code.empty()) {
    why = fmt::format("{} {}: {}", response.status, response.code, response.message);
  } else {
    why = fmt::format("the server answers with {}", response.status);
  }
  std::string hint;
  if (response.code == "NoSuchBucket") {
    hint = "Create the bucket, or set METAFLOW_DATASTORE_SYSROOT_S3 to one that exists.";
  } else if (response.status == 403 || response.code == "InvalidAccessKeyId") {
    hint = fmt::format("The AWS credentials come from {}. They need s3:GetObject, s3:PutObject and s3:ListBucket{}.",
                       session_ ? session_->source() : "nowhere",
                       operation == "remove" ? ", and s3:DeleteObject to remove objects" : "");
  } else if (response.failure && response.failure->cause == net::Cause::tls) {
    hint = "Set AWS_CA_BUNDLE to a file with the server's certificate authority.";
  } else if (response.failure && !options_.endpoint.empty()) {
    hint = "Check METAFLOW_S3_ENDPOINT_URL, and that the server is running.";
  } else if (response.failure) {
    hint = "Check the network connection.";
  }
  return Error(ErrorCode::data_store, fmt::format("Cannot {} 's3://{}/{}': {}", operation, bucket, key, why), hint);
}

}  // namespace metaflow::store
