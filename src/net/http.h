// HTTP(S), many requests at a time, on one thread.
//
// Driven by an event loop:                       Driving itself:
//
//   HttpClient http;                               HttpClient http;
//   http.attach(loop);                             Response answer = http.fetch({.url = "https://host/path"});
//   http.start({.url = "https://host/path"},       for (...) http.start(...);      // many in flight
//              [](Response&& answer) {...});       http.finish();
//
// A response of whatever status is an answer; only what kept one from coming, or cut it off, is a Failure. Nothing is
// tried again here (that is net/retry.h), and redirects are not followed.
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

/// How connections are secured, and on whose word. Shared by requests, so that they can share connections.
struct Tls {
  std::string ca_file{};           // PEM; empty: SSL_CERT_FILE, else the system's
  std::string ca_data{};           // PEM itself, goes before ca_file
  std::string certificate_file{};  // of the client, PEM
  std::string certificate_data{};  // PEM itself, goes before certificate_file
  std::string key_file{};          // of the client, PEM
  std::string key_data{};          // PEM itself, goes before key_file
  std::string server_name{};       // asked for and checked in the place of the URL's host
  bool verify = true;              // false: anybody may be the server
};

/// What is sent after the headers: pieces of memory, then a part of a file. Nothing is copied.
struct Body {
  std::vector<std::span<const std::byte>> pieces{};
  int fd = -1;  // read with pread: its position does not matter
  std::uint64_t fd_offset = 0;
  std::uint64_t fd_size = 0;
  std::shared_ptr<const void> owner{};  // kept until the transfer is over; for what the caller does not keep himself

  std::uint64_t size() const;
};

/// A body of text, which is kept until the transfer is over.
Body text_body(std::string text);

/// Where to put the body of an answer. One that does not fit is the failure `sink`.
struct MemorySink {
  std::span<std::byte> memory;
};
struct FileSink {  // written with pwrite
  int fd = -1;
  std::uint64_t offset = 0;
  std::uint64_t limit = ~std::uint64_t{0};  // at most so many bytes
};
/// Gets the body piece by piece, as it comes. May start and cancel transfers, its own too. An exception ends the
/// transfer with the failure `sink`.
using PieceSink = std::function<void(std::span<const std::byte>)>;
/// Nothing chosen: Response::body.
using Sink = std::variant<std::monostate, MemorySink, FileSink, PieceSink>;

struct Response;

/// Bytes per second: less, for as long as `idle_timeout`, is a server that does not mean to come to an end.
inline constexpr std::uint32_t kSlowest = 512;

/// As the limit of a body: what ends it is something else.
inline constexpr std::uint64_t kEndless = ~std::uint64_t{0};

struct Request {
  std::string method = "GET";
  /// Sent as it is: already encoded, dots in the path are kept. http, https, or nothing else.
  std::string url{};
  /// A name in any case. An empty value is sent as such. Host, Content-Length and the like are added by themselves;
  /// Content-Type is not.
  Headers headers{};
  /// Sent if there is one (even of size zero).
  std::optional<Body> body{};
  /// For the body of a response whose status is 2xx. Others, which say what went wrong, are in Response::body.
  Sink sink{};
  /// Instead of `sink`: asked once, when status and headers of a 2xx response are there. What it throws is the failure
  /// `sink`.
  std::function<Sink(const Response&)> choose_sink{};
  /// Bytes of a body that nobody gave room for: it is collected in Response::body, or goes to a PieceSink. More is the
  /// failure `sink`.
  std::uint64_t max_body = 64U << 20U;

  std::chrono::milliseconds connect_timeout{10'000};  // until the connection is there, TLS included
  std::chrono::milliseconds idle_timeout{60'000};     // of less than `slowest`, counted in seconds; 0: none
  std::uint32_t slowest = kSlowest;                   // bytes per second; 1: where little happens for long
  std::chrono::milliseconds total_timeout{0};         // 0: none
  /// Between the first byte of an answer and its last, if nobody gave room for its body, as above: it can come at a
  /// pace that the other limits allow for hours. 0: none.
  std::chrono::milliseconds answer_timeout{15 * 60'000};

  std::shared_ptr<const Tls> tls{};  // nothing: the defaults
  /// "http://user:password@host:port"; nothing: as https_proxy, no_proxy and the like say; "": none.
  std::optional<std::string> proxy{};
};

/// Why there is no (whole) answer.
enum class Cause : std::uint8_t {
  resolve,    // no address for the host, or for the proxy
  connect,    // nobody there
  tls,        // the handshake failed, or the certificate is not trusted
  timeout,    // one of the request's
  reset,      // the connection was lost before the answer began
  truncated,  // the answer began, and was cut off
  sink,       // the answer could not be put where it should go
  body,       // the request's body could not be read
  other,
};

struct Failure {
  Cause cause = Cause::other;
  /// "Cannot connect to 127.0.0.1:9000: Connection refused"; for sinks the exception's words. Never has a query, a
  /// header or a password in it.
  std::string text{};
  /// False: the server has not seen the request. True: it may have acted upon it.
  bool may_have_arrived = true;
};

struct Response {
  int status = 0;              // 0: none came
  Headers headers{};           // names in lower case
  std::string body{};          // what did not go to a sink
  std::uint64_t received = 0;  // bytes of body, wherever they went
  std::optional<Failure> failure{};

  bool ok() const { return !failure && status >= 200 && status < 300; }
  /// The value of the first header of this name (given in lower case); nothing if there is none.
  std::optional<std::string_view> header(std::string_view name) const;
};

struct HttpOptions {
  int connections_per_host = 16;  // more requests wait for one of them; 0: no limit
  int connections = 0;            // in all; 0: no limit
  int connections_kept = 32;      // open without a request, for the next one
  bool http2 = false;             // over TLS, if the server has it: many requests share a connection
};

/// What carries requests out: a client, or what a test has in its place.
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;

  using Id = std::uint64_t;  // never 0
  /// Called once, when the transfer is over, unless it is cancelled before; never inside start() or cancel().
  using Done = std::function<void(Response&&)>;

  /// Begins a transfer. What the request points to must stay until it is over.
  virtual Id start(Request request, Done done) = 0;
  /// Ends a transfer, without a callback. Nothing happens if it is over.
  virtual void cancel(Id id) = 0;
};

/// A client with its connections. Loads libcurl. Not thread-safe: one thread, one client.
///
/// Callbacks run inside finish(), fetch(), run_once() and the loop, one after the other, never inside start() or
/// cancel(). They may start and cancel transfers and drive the client; they must not destroy it. What a `done` throws
/// comes out of where it runs; the client stays usable. SIGPIPE does not reach the process.
class HttpClient : public HttpTransport {
 public:
  /// Throws Error{invalid_command} if libcurl is missing.
  explicit HttpClient(const HttpOptions& options = {});
  /// What is in flight ends, without a callback.
  ~HttpClient() override;
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  Id start(Request request, Done done) override;
  void cancel(Id id) override;
  /// How many transfers are not over.
  std::size_t in_flight() const;

  /// From now on the loop drives the transfers; it must outlive this. Once, and before the first start().
  void attach(base::EventLoop& loop);

  /// Drives until `done` says so (asked after every step) or nothing is in flight. Also while attached; then
  /// the loop's other events wait.
  void finish(const std::function<bool()>& done = {});
  /// One request, until it is over. Others go on meanwhile.
  Response fetch(Request request);
  /// Waits this long at most until something happens (-1: as long as it takes), then does what is due.
  void run_once(std::chrono::milliseconds wait);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// "https://host:port/path" without user, password and query: for messages.
std::string printable_url(std::string_view url);

}  // namespace metaflow::net
