// Requests to S3: signed, many in flight, tried again when that may help.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include <metaflow/error.h>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/settings.h"
#include "net/aws_config.h"
#include "net/aws_credentials.h"
#include "net/http.h"
#include "net/retry.h"
#include "net/sigv4.h"

namespace metaflow::store {

/// How S3 is reached.
struct S3Options {
  std::string endpoint{};  // "http://host:9000" of a compatible server; empty: AWS's
  std::string region{};    // empty: the bucket's, found out
  std::shared_ptr<const net::Tls> tls{};
  std::string encryption{};  // "AES256", "aws:kms": asked for when writing
  int transfers = 16;        // in flight
  net::RetryOptions retry{};
};

/// From METAFLOW_S3_ENDPOINT_URL, METAFLOW_S3_SERVER_SIDE_ENCRYPTION, METAFLOW_S3_VERIFY_CERTIFICATE, and AWS's
/// variables and files.
S3Options s3_options(const base::Settings& settings, const net::AwsConfig& config);

struct S3Location {
  std::string bucket;
  std::string prefix;  // without slashes at its ends; may be empty
};

/// "s3://bucket/prefix". Throws Error{invalid_command} if it is none.
S3Location parse_s3_url(const std::string& url);

struct S3Request {
  std::string method = "GET";
  std::string bucket{};
  std::string key{};  // decoded; empty: the bucket itself
  net::Query query{};
  net::Headers headers{};
  std::optional<net::Body> body{};  // in pieces of memory
  /// Where the answer goes; asked for every try.
  std::function<net::Sink(const net::Response&)> choose_sink{};
};

struct S3Response : net::Response {
  std::string code{};     // "NoSuchKey"; empty if it was fine or said nothing
  std::string message{};  // in the server's words
  /// An earlier try got no answer, but may have done what was asked.
  bool after_lost_reply = false;
};

/// Not thread-safe. A forked child may go on using it: it gets connections of its own.
class S3Client {
 public:
  /// Nothing is loaded or asked for before the first request.
  S3Client(S3Options options, base::Clock& clock, net::AwsConfig config);
  ~S3Client();
  S3Client(const S3Client&) = delete;
  S3Client& operator=(const S3Client&) = delete;

  const S3Options& options() const { return options_; }
  const net::AwsConfig& config() const { return config_; }

  /// From now on the loop drives the requests, and finish() is not to be called; before the first of them. The loop
  /// must outlive this.
  void attach(base::EventLoop& loop) { loop_ = &loop; }

  /// `done` is called in finish() and poll(), or from the loop, with the last answer, whatever it is; it may start
  /// others. What it throws comes out there.
  void start(S3Request request, std::function<void(S3Response&&)> done);
  /// Until nothing is left. If a `done` throws, what is in flight is cancelled, and it comes out here.
  void finish();
  /// Does what can be done without waiting.
  void poll();
  bool idle() const { return waiting_.empty() && paused_.empty() && active_.empty(); }
  S3Response perform(S3Request request);

  /// A URL that reads (or, with PUT, writes) an object without keys, for so many seconds at most. A secret. It ends
  /// with the keys that sign it: see keys_expire().
  std::string presign(const std::string& method, const std::string& bucket, const std::string& key,
                      std::int64_t seconds);
  /// In seconds since 1970; 0: never.
  std::int64_t keys_expire();

  /// "Cannot read 's3://b/k': AccessDenied: ..."
  Error error(std::string_view operation, const std::string& bucket, const std::string& key,
              const S3Response& response) const;

 private:
  struct Transfer;
  using TransferPtr = std::shared_ptr<Transfer>;

  net::HttpClient& http();
  net::AwsCredentialProvider& credentials();
  std::string region_of(const std::string& bucket);
  net::AwsRequest address(const std::string& method, const std::string& bucket, const std::string& key);
  std::int64_t signing_time() { return clock_.wall_microseconds() / 1'000'000 + clock_offset_; }
  void run(std::int64_t longest_wait);
  void launch_due();
  void wake_up();
  void launch(const TransferPtr& transfer);
  void over(const TransferPtr& transfer, net::Response&& response);
  bool cure(Transfer& transfer, const S3Response& response);
  bool correct_clock(const S3Response& response);
  bool learn_region(const Transfer& transfer, const S3Response& response);
  void drop_all();
  void leave_to_parent();

  S3Options options_;
  base::Clock& clock_;
  net::AwsConfig config_;
  std::unique_ptr<net::HttpClient> http_;
  std::unique_ptr<net::AwsCredentialProvider> credentials_;
  net::RetryBudget budget_;
  std::function<double()> random_;
  std::map<std::string, std::string> regions_;  // of buckets, as the server corrected us
  std::int64_t clock_offset_ = 0;               // seconds that the server's clock is ahead of ours
  pid_t process_ = 0;
  base::EventLoop* loop_ = nullptr;
  std::optional<base::EventLoop::Timer> timer_;  // of the loop, for what waits

  std::deque<TransferPtr> waiting_;
  std::multimap<std::int64_t, TransferPtr> paused_;  // by the time at which they go on
  std::unordered_map<net::HttpClient::Id, TransferPtr> active_;
};

}  // namespace metaflow::store
