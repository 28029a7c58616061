// Requests to S3: signed, many in flight, retried if that may help.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <metaflow/error.h>

#include "base/clock.h"
#include "base/event_loop.h"
#include "net/aws_config.h"
#include "net/http.h"
#include "net/sigv4.h"
#include "store/s3/s3_options.h"

namespace metaflow::net {
class AwsSession;
}

namespace metaflow::store {

/// A part of an object, in bytes.
struct S3Range {
  std::uint64_t begin = 0;
  std::uint64_t size = 0;  // more than 0
};

struct S3Request {
  std::string method = "GET";
  std::string bucket{};
  std::string key{};  // decoded; empty: the bucket itself
  net::Query query{};
  net::Headers headers{};
  std::optional<net::Body> body{};
  /// The requested part of the object. An answer with other bytes, or with fewer, counts as truncated. The whole object
  /// (200) is accepted.
  std::optional<S3Range> range{};
  /// Chooses the destination of the answer; called for each attempt.
  std::function<net::Sink(const net::Response&)> choose_sink{};
};

struct S3Response : net::Response {
  std::string code{};     // "NoSuchKey"; empty if the request succeeded or the answer had none
  std::string message{};  // in the server's words
  /// An earlier attempt got no answer, but may have been carried out.
  bool after_lost_reply = false;
};

/// Not thread-safe. A forked child may continue to use it: it gets its own connections.
class S3Client {
 public:
  /// Nothing is loaded or requested before the first request.
  S3Client(S3Options options, base::Clock& clock, net::AwsConfig config,
           std::shared_ptr<net::AwsSession> session = nullptr);
  ~S3Client();
  S3Client(const S3Client&) = delete;
  S3Client& operator=(const S3Client&) = delete;

  const S3Options& options() const { return options_; }
  const net::AwsConfig& config() const { return config_; }

  /// Makes the loop drive the requests; then finish() must not be called. Called before the first request. The loop
  /// must outlive this object.
  void attach(base::EventLoop& loop);
  /// The session with the keys, for another client that uses the same identity.
  std::shared_ptr<net::AwsSession> session();

  /// `done` is called in finish() and poll(), or from the loop, with the last answer, also if that is an error. It may
  /// start other requests. Exceptions of `done`, and Error{invalid_command} if there are no keys, are thrown by those
  /// functions.
  void start(S3Request request, std::function<void(S3Response&&)> done);
  /// Waits until no request is left. If a `done` throws, the requests in flight are cancelled, and the exception is
  /// rethrown.
  void finish();
  /// The same, but returns after `most` at the latest. Returns whether no request is left.
  bool finish_within(std::chrono::milliseconds most);
  /// Cancels all requests, without their callbacks.
  void cancel();
  /// Does what is possible without waiting.
  void poll();
  S3Response perform(S3Request request);

  /// A URL that reads (or, with PUT, writes) an object without keys, for so many seconds at most. It is a secret. It
  /// expires with the keys that sign it: see keys_expire(). Throws instead of waiting for keys if a client with the
  /// same session is attached to a loop.
  std::string presign(const std::string& method, const std::string& bucket, const std::string& key,
                      std::int64_t seconds);
  /// In seconds since 1970; 0: never.
  std::int64_t keys_expire();

  /// "Cannot read 's3://b/k': AccessDenied: ..."
  Error error(std::string_view operation, const std::string& bucket, const std::string& key,
              const S3Response& response) const;

 private:
  struct Engine;
  class Running;

  Engine& engine();
  void leave_to_parent();
  std::string region_of(const std::string& bucket);
  net::AwsRequest address(const std::string& method, const std::string& bucket, const std::string& key);
  bool learn_region(const std::string& bucket, const S3Response& response);

  S3Options options_;
  base::Clock& clock_;
  net::AwsConfig config_;
  std::map<std::string, std::string> regions_;  // per bucket, from the server's redirects
  base::EventLoop* loop_ = nullptr;             // attached by the caller; null: the engine has its own
  pid_t process_ = 0;                           // the process that created the engine
  std::shared_ptr<net::AwsSession> session_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace metaflow::store
