#include "store/s3/s3_client.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/text.h"
#include "net/plain_http.h"
#include "net/xml.h"

namespace metaflow::store {

using std::chrono::milliseconds;

namespace {

/// Further from ours than this, the server's clock is what requests are signed by.
constexpr std::int64_t kMostSkew = 4 * 60;

bool is_https(const std::string& endpoint) { return !endpoint.starts_with("http://"); }

/// Whether an error of this name may be gone with the next try.
bool passes(std::string_view code) {
  static constexpr std::string_view kPassing[] = {"RequestTimeout", "SlowDown",           "OperationAborted",
                                                  "InternalError",  "ServiceUnavailable", "ConditionalRequestConflict"};
  return std::find(std::begin(kPassing), std::end(kPassing), code) != std::end(kPassing);
}

/// Also of old buckets and of compatible servers. It becomes a part of a host's name.
bool is_bucket(std::string_view name) {
  return !name.empty() && name[0] != '.' && name[0] != '-' && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_';
  });
}

/// Keys are texts to S3, but paths to servers and proxies on the way.
bool is_prefix(std::string_view prefix) {
  const auto parts = base::split(prefix, '/');
  return std::none_of(parts.begin(), parts.end(),
                      [](const std::string& part) { return part == "." || part == ".."; }) &&
         std::none_of(prefix.begin(), prefix.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
}

std::string hash_of(const std::optional<net::Body>& body) {
  if (!body) return net::sha256_hex(std::string_view());
  net::Sha256 hash;
  for (const auto& piece : body->pieces) hash.update(piece);
  return hash.hex();
}

}  // namespace

S3Options s3_options(const base::Settings& settings, const net::AwsConfig& config) {
  S3Options options;
  options.endpoint = settings.get("S3_ENDPOINT_URL", config.endpoint("s3").value_or(""));
  while (options.endpoint.ends_with('/')) options.endpoint.pop_back();
  if (!options.endpoint.empty() && !options.endpoint.starts_with("http://") &&
      !options.endpoint.starts_with("https://")) {
    throw Error(ErrorCode::invalid_command, fmt::format("The S3 endpoint '{}' is no URL", options.endpoint),
                "Set METAFLOW_S3_ENDPOINT_URL to one that begins with https:// or http://.");
  }
  if (!options.endpoint.empty())
    net::check_keys_may_go_to(options.endpoint, "The S3 endpoint", net::variables_of(settings));
  options.region = config.region().value_or("");
  options.encryption = settings.get("S3_SERVER_SIDE_ENCRYPTION", "");
  net::Tls tls;
  tls.ca_file = config.ca_bundle();
  // A path, or whether to look at the certificate at all.
  const std::string verify = settings.get("S3_VERIFY_CERTIFICATE", "");
  const std::string word = base::lower(verify);
  if (word == "false" || word == "0" || word == "no") {
    tls.verify = false;
  } else if (!verify.empty() && word != "true" && word != "1" && word != "yes") {
    tls.ca_file = verify;
  }
  options.tls = std::make_shared<const net::Tls>(std::move(tls));
  return options;
}

S3Location parse_s3_url(const std::string& url) {
  S3Location location;
  if (url.starts_with("s3://")) {
    const std::string rest = url.substr(5);
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    location.bucket = rest.substr(0, slash);
    location.prefix = rest.substr(slash);
  }
  while (location.prefix.ends_with('/')) location.prefix.pop_back();
  location.prefix.erase(0, std::min(location.prefix.find_first_not_of('/'), location.prefix.size()));
  if (!is_bucket(location.bucket) || !is_prefix(location.prefix)) {
    throw Error(ErrorCode::invalid_command, fmt::format("'{}' is no place in S3", base::visible(url)),
                "It looks like this: s3://bucket/prefix");
  }
  return location;
}

struct S3Client::Transfer {
  S3Request request;
  std::function<void(S3Response&&)> done;
  net::Retry retry;
  std::string payload_hash;
  std::string access_key;  // that the last try was signed with
  bool cured = false;      // one thing that the server complained of was put right
  bool lost_reply = false;
  net::HttpClient::Id id = 0;
};

S3Client::S3Client(S3Options options, base::Clock& clock, net::AwsConfig config)
    : options_(std::move(options)),
      clock_(clock),
      config_(std::move(config)),
      budget_(options_.retry.budget),
      random_(net::jitter()) {}

S3Client::~S3Client() {
  if (timer_) loop_->cancel(*timer_);
  if (http_ && process_ != ::getpid()) leave_to_parent();
}

/// The connections belong to the process that this one was forked from: not even closing them is ours to do.
void S3Client::leave_to_parent() {
  static auto& left = *new std::vector<std::pair<void*, void*>>;  // for leak checkers: never destroyed
  left.emplace_back(credentials_.release(), http_.release());
  active_.clear();
  waiting_.clear();
  paused_.clear();
}

net::HttpClient& S3Client::http() {
  if (http_ && process_ != ::getpid()) leave_to_parent();
  if (!http_) {
    process_ = ::getpid();
    http_ = std::make_unique<net::HttpClient>(
        net::HttpOptions{.connections_per_host = options_.transfers, .connections_kept = 2 * options_.transfers});
    if (loop_ != nullptr) http_->attach(*loop_);
  }
  return *http_;
}

net::AwsCredentialProvider& S3Client::credentials() {
  net::HttpClient& client = http();
  if (!credentials_) credentials_ = std::make_unique<net::AwsCredentialProvider>(client, clock_, config_);
  return *credentials_;
}

std::string S3Client::region_of(const std::string& bucket) {
  if (const auto found = regions_.find(bucket); found != regions_.end()) return found->second;
  if (options_.region.empty()) options_.region = credentials().region().value_or("us-east-1");
  return options_.region;
}

net::AwsRequest S3Client::address(const std::string& method, const std::string& bucket, const std::string& key) {
  net::AwsRequest request{.method = method};
  if (!options_.endpoint.empty()) {
    // Compatible servers know buckets by the path; a path of the endpoint goes before.
    const std::size_t path = options_.endpoint.find('/', options_.endpoint.find("://") + 3);
    request.endpoint = options_.endpoint.substr(0, path);
    request.path = (path == std::string::npos ? "" : options_.endpoint.substr(path)) + "/" + bucket + "/" + key;
    return request;
  }
  const std::string region = region_of(bucket);
  const std::string host = fmt::format("s3.{}.amazonaws.com{}", region, region.starts_with("cn-") ? ".cn" : "");
  if (bucket.find('.') != std::string::npos) {  // no certificate is for two more levels
    request.endpoint = "https://" + host;
    request.path = "/" + bucket + "/" + key;
  } else {
    request.endpoint = fmt::format("https://{}.{}", bucket, host);
    request.path = "/" + key;
  }
  return request;
}

void S3Client::start(S3Request request, std::function<void(S3Response&&)> done) {
  http();
  waiting_.push_back(std::make_shared<Transfer>(
      Transfer{std::move(request), std::move(done), net::Retry(options_.retry, budget_, random_), {}, {}}));
  wake_up();
}

S3Response S3Client::perform(S3Request request) {
  std::optional<S3Response> answer;
  start(std::move(request), [&](S3Response&& response) { answer = std::move(response); });
  finish();
  return std::move(*answer);
}

void S3Client::finish() {
  while (!idle()) run(-1);
}

void S3Client::poll() {
  if (!idle()) run(0);
}

void S3Client::run(std::int64_t longest_wait) {
  net::HttpClient& client = http();
  try {
    launch_due();
    milliseconds wait(longest_wait);
    if (!paused_.empty() && longest_wait < 0) {
      const std::int64_t left = paused_.begin()->first - clock_.monotonic_microseconds();
      wait = milliseconds(std::max<std::int64_t>(left, 0) / 1000 + 1);
    }
    client.run_once(wait);
  } catch (...) {
    drop_all();
    throw;
  }
}

/// In a loop: comes back when what waits can go on. Not at once, since looking for keys may drive other requests.
void S3Client::wake_up() {
  if (loop_ == nullptr) return;
  if (timer_) loop_->cancel(*timer_);
  timer_.reset();
  std::int64_t wait = 0;
  if (waiting_.empty() || active_.size() >= static_cast<std::size_t>(options_.transfers)) {
    if (paused_.empty()) return;
    wait = std::max<std::int64_t>(paused_.begin()->first - clock_.monotonic_microseconds(), 0);
  }
  timer_ = loop_->after(wait, [this] {
    timer_.reset();
    launch_due();
    wake_up();
  });
}

void S3Client::launch_due() {
  const std::int64_t now = clock_.monotonic_microseconds();
  while (!paused_.empty() && paused_.begin()->first <= now) {
    waiting_.push_front(std::move(paused_.begin()->second));
    paused_.erase(paused_.begin());
  }
  while (!waiting_.empty() && active_.size() < static_cast<std::size_t>(options_.transfers)) {
    const TransferPtr transfer = std::move(waiting_.front());
    waiting_.pop_front();
    launch(transfer);
  }
}

/// What is in flight refers to memory of who started it, and that is about to go.
void S3Client::drop_all() {
  for (const auto& [id, transfer] : active_) http_->cancel(id);
  active_.clear();
  waiting_.clear();
  paused_.clear();
}

void S3Client::launch(const TransferPtr& transfer) {
  const S3Request& request = transfer->request;
  const net::AwsKeys keys = credentials().keys();
  net::AwsRequest plain = address(request.method, request.bucket, request.key);
  plain.query = request.query;
  plain.headers = request.headers;
  // Under TLS nobody can change the body on its way. Without, its signature is what keeps it.
  if (is_https(plain.endpoint) && request.body && request.body->size() > 0) {
    plain.payload_sha256 = net::kUnsignedPayload;
  } else {
    if (transfer->payload_hash.empty()) transfer->payload_hash = hash_of(request.body);
    plain.payload_sha256 = transfer->payload_hash;
  }
  transfer->access_key = keys.access_key;
  net::SignedRequest ready = net::sign(plain, keys, {region_of(request.bucket), "s3", signing_time()});
  net::Request http_request{.method = request.method,
                            .url = std::move(ready.url),
                            .headers = std::move(ready.headers),
                            .body = request.body,
                            .choose_sink = request.choose_sink,
                            .idle_timeout = milliseconds(30'000),
                            .tls = options_.tls};
  const auto id = http().start(std::move(http_request),
                               [this, transfer](net::Response&& response) { over(transfer, std::move(response)); });
  active_.emplace(id, transfer);
  transfer->id = id;
}

void S3Client::over(const TransferPtr& transfer, net::Response&& plain) {
  active_.erase(transfer->id);
  S3Response response{std::move(plain)};
  if (!response.failure && !response.body.empty() && (!response.ok() || transfer->request.method != "GET")) {
    if (const auto xml = net::parse_xml(response.body); xml && xml->name == "Error") {
      response.code = xml->text_of("Code");
      response.message = xml->text_of("Message");
      // Some operations begin to answer with 200 before they know how they end.
      if (response.ok()) response.status = passes(response.code) ? 500 : 400;
    }
  }
  const bool transient = net::is_transient(response) || passes(response.code);
  if (transient) {
    // A gateway's 5xx says nothing about what happened behind it.
    const bool unknown = response.failure ? response.failure->may_have_arrived : response.status >= 500;
    const auto pause = transfer->retry.next_pause(net::retry_after(response, clock_.wall_microseconds()));
    if (pause) {
      transfer->lost_reply = transfer->lost_reply || unknown;
      paused_.emplace(clock_.monotonic_microseconds() + *pause, transfer);
      return wake_up();
    }
  } else if (!response.ok() && !transfer->cured && cure(*transfer, response)) {
    transfer->cured = true;
    waiting_.push_front(transfer);
    return wake_up();
  }
  if (!transient) transfer->retry.succeeded();
  response.after_lost_reply = transfer->lost_reply;
  wake_up();
  transfer->done(std::move(response));
}

/// Whether the reason for which the server refused is one that can be put right here.
bool S3Client::cure(Transfer& transfer, const S3Response& response) {
  if (response.status < 300 || response.status >= 500 || response.status == 404 || response.status == 412) return false;
  if (learn_region(transfer, response)) return true;
  if (correct_clock(response)) return true;
  // The answer to a HEAD has no words.
  const bool wordless = transfer.request.method == "HEAD" && (response.status == 400 || response.status == 403);
  static constexpr std::string_view kStale[] = {"ExpiredToken", "TokenRefreshRequired", "InvalidToken",
                                                "ExpiredTokenException"};
  if (!wordless && std::find(std::begin(kStale), std::end(kStale), response.code) == std::end(kStale)) return false;
  credentials().forget();
  return credentials().keys().access_key != transfer.access_key;
}

bool S3Client::learn_region(const Transfer& transfer, const S3Response& response) {
  std::string region(response.header("x-amz-bucket-region").value_or(""));
  if (region.empty()) {
    if (const auto xml = net::parse_xml(response.body)) region = xml->text_of("Region");
  }
  if (region.empty() || region == region_of(transfer.request.bucket)) return false;
  const bool plain = std::all_of(region.begin(), region.end(),
                                 [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
  if (!plain) return false;  // it becomes part of a host's name
  regions_[transfer.request.bucket] = region;
  return true;
}

bool S3Client::correct_clock(const S3Response& response) {
  const auto date = response.header("date");
  const auto server = date ? net::parse_http_date(*date) : std::nullopt;
  if (!server || std::abs(*server - signing_time()) < kMostSkew) return false;
  clock_offset_ = *server - clock_.wall_microseconds() / 1'000'000;
  return true;
}

std::string S3Client::presign(const std::string& method, const std::string& bucket, const std::string& key,
                              std::int64_t seconds) {
  const net::AwsKeys keys = credentials().keys();
  return net::presign(address(method, bucket, key), keys, {region_of(bucket), "s3", signing_time()}, seconds);
}

std::int64_t S3Client::keys_expire() {
  credentials().keys();
  return credentials().expires();
}

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
    hint = "Make the bucket, or set METAFLOW_DATASTORE_SYSROOT_S3 to one that exists.";
  } else if (response.status == 403 || response.code == "InvalidAccessKeyId") {
    hint = fmt::format("The AWS credentials come from {}. They need s3:GetObject, s3:PutObject and s3:ListBucket.",
                       credentials_ ? credentials_->source() : "nowhere");
  } else if (response.failure && response.failure->cause == net::Cause::tls) {
    hint = "The server's certificate authority is named by AWS_CA_BUNDLE.";
  } else if (response.failure && !options_.endpoint.empty()) {
    hint = "Is METAFLOW_S3_ENDPOINT_URL right, and the server up?";
  } else if (response.failure) {
    hint = "Is the network up?";
  }
  return Error(ErrorCode::data_store, fmt::format("Cannot {} 's3://{}/{}': {}", operation, bucket, key, why), hint);
}

}  // namespace metaflow::store
