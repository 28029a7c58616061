// An HTTP(S) client: many concurrent requests on one thread.
//
// Driven by an event loop:                       Driving itself:
//
//   HttpClient http;                               HttpClient http;
//   http.attach(loop);                             Response answer = http.fetch({.url = "https://host/path"});
//   http.start({.url = "https://host/path"},       for (...) http.start(...);      // many in flight
//              [](Response&& answer) {...});       http.finish();
//
// A response with any status is an answer; a Failure means that there was no complete answer. The client does not retry
// (net/retry.h does), and does not follow redirects.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/event_loop.h"

namespace metaflow::net {

using Header = std::pair<std::string, std::string>;  // name, value
using Headers = std::vector<Header>;

/// TLS settings. Shared between requests, so that they can share connections.
struct Tls {
  std::string ca_file{};           // PEM; empty: SSL_CERT_FILE, else the system's
  std::string ca_data{};           // PEM text; overrides ca_file
  std::string certificate_file{};  // of the client, PEM
  std::string certificate_data{};  // PEM text; overrides certificate_file
  std::string key_file{};          // of the client, PEM
  std::string key_data{};          // PEM text; overrides key_file
  std::string server_name{};       // requested and verified instead of the URL's host
  bool verify = true;              // false: any server is accepted
};

/// A request body: pieces of memory, then a part of a file. Nothing is copied.
struct Body {
  std::vector<std::span<const std::byte>> pieces{};
  int fd = -1;  // read with pread, which ignores its position
  std::uint64_t fd_offset = 0;
  std::uint64_t fd_size = 0;
  std::shared_ptr<const void> owner{};  // kept until the transfer ends, for data that the caller does not keep

  std::uint64_t size() const;
};

/// A text body, which is kept until the transfer ends.
Body text_body(std::string text);

/// Destinations of a response body. A body that does not fit is the failure `sink`.
struct MemorySink {
  std::span<std::byte> memory;
};
struct FileSink {  // written with pwrite
  int fd = -1;
  std::uint64_t offset = 0;
  std::uint64_t limit = ~std::uint64_t{0};  // maximal bytes
};
/// Receives the body in pieces as they arrive. May start and cancel transfers, including its own. An exception ends the
/// transfer with the failure `sink`.
using PieceSink = std::function<void(std::span<const std::byte>)>;
/// monostate: Response::body.
using Sink = std::variant<std::monostate, MemorySink, FileSink, PieceSink>;

struct Response;

/// Bytes per second: a server that stays slower for `idle_timeout` is considered stuck.
inline constexpr std::uint32_t kMinSpeed = 512;

/// A limit for bodies without a limit of their own.
inline constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};

struct Request {
  std::string method = "GET";
  /// Sent unchanged: must be encoded; dots in the path are kept. http or https only.
  std::string url{};
  /// Names in any case. An empty value is sent as such. Host, Content-Length and the like are added automatically;
  /// Content-Type is not.
  Headers headers{};
  /// Sent if set (even if empty).
  std::optional<Body> body{};
  /// For the body of a 2xx response. Bodies of other responses, which describe errors, are in Response::body.
  Sink sink{};
  /// Overrides `sink`: called once, when status and headers of a 2xx response have arrived. An exception is the failure
  /// `sink`.
  std::function<Sink(const Response&)> choose_sink{};
  /// Maximal bytes of a body that is collected in Response::body or goes to a PieceSink. A larger one is the failure
  /// `sink`.
  std::uint64_t max_body = 64U << 20U;

  std::chrono::milliseconds connect_timeout{10'000};  // until the connection is established, including TLS
  std::chrono::milliseconds idle_timeout{60'000};     // with less than `min_speed`, rounded to seconds; 0: none
  std::uint32_t min_speed = kMinSpeed;                // bytes per second; 1: for long periods without data
  std::chrono::milliseconds total_timeout{0};         // 0: none
  /// Between the first and the last byte of an answer that is collected or goes to a PieceSink: at the min_speed speed
  /// that the other limits allow it would take hours. 0: none.
  std::chrono::milliseconds answer_timeout{15 * 60'000};

  std::shared_ptr<const Tls> tls{};  // nothing: the defaults
  /// "http://user:password@host:port"; nothing: from https_proxy, no_proxy and the like; "": none.
  std::optional<std::string> proxy{};
};

/// Why there is no (complete) answer.
enum class Cause : std::uint8_t {
  resolve,    // no address for the host or the proxy
  connect,    // no server accepted the connection
  tls,        // the handshake failed, or the certificate is not trusted
  timeout,    // one of the request's timeouts
  reset,      // the connection was lost before the answer began
  truncated,  // the connection was lost within the answer
  sink,       // the body could not be stored
  body,       // the request's body could not be read
  other,
};

struct Failure {
  Cause cause = Cause::other;
  /// "Cannot connect to 127.0.0.1:9000: Connection refused"; for sinks the text of the exception. Never contains a
  /// query, a header or a password.
  std::string text{};
  /// False: the server has not received the request. True: it may have executed it.
  bool may_have_arrived = true;
};

struct Response {
  int status = 0;              // 0: no answer
  Headers headers{};           // names in lower case
  std::string body{};          // the part that did not go to a sink
  std::uint64_t received = 0;  // bytes of body, including those of a sink
  std::optional<Failure> failure{};

  bool ok() const { return !failure && status >= 200 && status < 300; }
  /// The value of the first header with this lower-case name; nothing if there is none.
  std::optional<std::string_view> header(std::string_view name) const;
};

struct HttpOptions {
  int connections_per_host = 16;  // further requests wait; 0: no limit
  int connections = 0;            // total; 0: no limit
  int connections_kept = 32;      // idle connections kept open
  bool http2 = false;             // over TLS, if the server supports it: many requests share a connection
};

/// Executes requests: a client, or a fake in tests.
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;

  using Id = std::uint64_t;  // never 0
  /// Called once, at the end of the transfer, unless it is cancelled before; never from start() or cancel().
  using Done = std::function<void(Response&&)>;

  /// Starts a transfer. Memory that the request points to must stay valid until its end.
  virtual Id start(Request request, Done done) = 0;
  /// Ends a transfer without its callback. No effect on a finished transfer.
  virtual void cancel(Id id) = 0;
};

/// A client with its connections. Loads libcurl. Not thread-safe: use one client per thread.
///
/// Callbacks run inside finish(), fetch(), run_once() and the loop, one at a time, never inside start() or cancel().
/// They may start and cancel transfers and drive the client; they must not destroy it. An exception of `done` leaves
/// the function in which it runs; the client stays usable. SIGPIPE does not reach the process.
class HttpClient : public HttpTransport {
 public:
  /// Throws Error{invalid_command} if libcurl is missing.
  explicit HttpClient(const HttpOptions& options = {});
  /// Ends transfers in flight, without their callbacks.
  ~HttpClient() override;
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  Id start(Request request, Done done) override;
  void cancel(Id id) override;
  /// Number of unfinished transfers.
  std::size_t in_flight() const;

  /// From now on the loop, which must outlive this object, drives the transfers. Call once, before the first start().
  void attach(base::EventLoop& loop);

  /// Drives transfers until `done` returns true (called after every step) or none is in flight. Works while attached,
  /// but other events of the loop wait.
  void finish(const std::function<bool()>& done = {});
  /// Executes one request. Other transfers continue meanwhile.
  Response fetch(Request request);
  /// Waits for the next event, for at most `wait` (-1: without limit), then handles all events.
  void run_once(std::chrono::milliseconds wait);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// "https://host:port/path" without user, password and query, for messages.
std::string printable_url(std::string_view url);

}  // namespace metaflow::net
