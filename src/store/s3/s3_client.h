// Requests to S3: signed, many in flight, tried again when that may help.
#pragma once

#include <sys/types.h>

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
  std::optional<net::Body> body{};  // in pieces of memory
  /// What of the object is wanted. An answer with other bytes, or not all of these, is a failure like one that was cut
  /// off. The whole object (200) is an answer.
  std::optional<S3Range> range{};
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
  S3Client(S3Options options, base::Clock& clock, net::AwsConfig config,
           std::shared_ptr<net::AwsSession> session = nullptr);
  ~S3Client();
  S3Client(const S3Client&) = delete;
  S3Client& operator=(const S3Client&) = delete;

  const S3Options& options() const { return options_; }
  const net::AwsConfig& config() const { return config_; }

  /// From now on the loop drives the requests, and finish() is not to be called; before the first of them. The loop
  /// must outlive this.
  void attach(base::EventLoop& loop);
  /// Who asks, for another client that asks as the same.
  std::shared_ptr<net::AwsSession> session();

  /// `done` is called in finish() and poll(), or from the loop, with the last answer, whatever it is; it may start
  /// others. What it throws comes out there, and so does Error{invalid_command} if there are no keys.
  void start(S3Request request, std::function<void(S3Response&&)> done);
  /// Until nothing is left. If a `done` throws, what is in flight is cancelled, and it comes out here.
  void finish();
  /// Does what can be done without waiting.
  void poll();
  S3Response perform(S3Request request);

  /// A URL that reads (or, with PUT, writes) an object without keys, for so many seconds at most. A secret. It ends
  /// with the keys that sign it: see keys_expire(). Does not wait for keys where a client with the same session is
  /// attached to a loop: throws.
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
  std::map<std::string, std::string> regions_;  // of buckets, as the server corrected us
  base::EventLoop* loop_ = nullptr;             // somebody else's; null: the engine's own
  pid_t process_ = 0;                           // that made the engine
  std::shared_ptr<net::AwsSession> session_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace metaflow::store
