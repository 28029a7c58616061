#include "net/transfer.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "base/format.h"
#include "base/text.h"
#include "net/url.h"

namespace metaflow::net {

namespace {

// For both directions; a smaller buffer doubles the CPU time, a larger one gains nothing.
constexpr long kBufferSize = 256 * 1024;
constexpr std::size_t kMaxHeaders = 256 * 1024;  // bytes of all headers of a response

constexpr auto kQuickExit = static_cast<CURLoption>(CURLOPTTYPE_LONG + 322);  // CURLOPT_QUICK_EXIT

curl_socket_t open_socket(void*, curlsocktype, curl_sockaddr* address) {
  // Not inherited by tasks that are started meanwhile.
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

Cause cause_of(CURLcode code, bool answer_began) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY: return Cause::resolve;
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY: return Cause::connect;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_USE_SSL_FAILED: return Cause::tls;
    case CURLE_OPERATION_TIMEDOUT: return Cause::timeout;
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return answer_began ? Cause::truncated : Cause::reset;
    case CURLE_PARTIAL_FILE: return Cause::truncated;
    case CURLE_WRITE_ERROR: return Cause::sink;
    case CURLE_READ_ERROR:
    case CURLE_ABORTED_BY_CALLBACK:
    case CURLE_SEND_FAIL_REWIND: return Cause::body;
    default: return Cause::other;
  }
}

}  // namespace

std::string printable_url(std::string_view text) {
  const Url url = parse_url(text);
  if (url.scheme.empty()) return "a URL without https://";
  return fmt::format("{}://{}{}{}{}", url.scheme, url.host, url.port.empty() ? "" : ":", url.port,
                     url.path.substr(0, url.path.find_first_of("?#")));
}

std::uint64_t Body::size() const {
  std::uint64_t size = fd >= 0 ? fd_size : 0;
  for (const auto& piece : pieces) size += piece.size();
  return size;
}

Body text_body(std::string text) {
  const auto owner = std::make_shared<const std::string>(std::move(text));
  return {.pieces = {base::as_bytes(*owner)}, .owner = owner};
}

std::optional<std::string_view> Response::header(std::string_view name) const {
  for (const Header& header : headers) {
    if (header.first == name) return header.second;
  }
  return std::nullopt;
}

Transfer::Transfer(const Curl& curl, CURL* easy, HttpClient::Id id, Request request, const std::string& ca_file,
                   bool http2)
    : curl_(curl), easy_(easy), id_(id), request_(std::move(request)) {
  set(CURLOPT_PRIVATE, this);
  set(CURLOPT_ERRORBUFFER, error_.data());
  set(CURLOPT_NOSIGNAL, 1L);
  // A transfer that ends during name resolution does not wait for the resolver's thread.
  curl_.easy_setopt(easy_, kQuickExit, 1L);  // since 7.87; older versions reject it
  set(CURLOPT_OPENSOCKETFUNCTION, &open_socket);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_BUFFERSIZE, kBufferSize);
  set(CURLOPT_UPLOAD_BUFFERSIZE, kBufferSize);
  set(CURLOPT_HTTP_VERSION, static_cast<long>(http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
  if (http2) set(CURLOPT_PIPEWAIT, 1L);
  set(CURLOPT_USERAGENT, "metaflow-cpp");
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request_.connect_timeout.count()));
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(request_.total_timeout.count()));
  if (request_.idle_timeout.count() > 0) {
    set(CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(request_.min_speed));
    set(CURLOPT_LOW_SPEED_TIME, static_cast<long>((request_.idle_timeout.count() + 999) / 1000));
  }
  set(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  set(CURLOPT_WRITEDATA, this);
  if (request_.proxy) set(CURLOPT_PROXY, request_.proxy->c_str());
  set_url(ca_file);
  set_body();
  set_headers();
}

Transfer::~Transfer() {
  if (headers_ != nullptr) curl_.slist_free_all(headers_);
  if (connect_to_ != nullptr) curl_.slist_free_all(connect_to_);
}

Transfer& Transfer::of(const Curl& curl, CURL* easy) {
  Transfer* transfer = nullptr;
  curl.easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
  return *transfer;
}

template <class Value>
void Transfer::set(CURLoption option, Value value) {
  const CURLcode code = curl_.easy_setopt(easy_, option, value);
  if (setup_ == CURLE_OK) setup_ = code;
}

void Transfer::set_url(const std::string& ca_file) {
  const Url url = parse_url(request_.url);
  if (url.scheme != "http" && url.scheme != "https") {
    setup_ = CURLE_UNSUPPORTED_PROTOCOL;
    return;
  }
  std::string text = request_.url;
  if (url.scheme == "https") {
    set_tls(ca_file);
    if (request_.tls && !request_.tls->server_name.empty() && request_.tls->server_name != url.host) {
      // The connection and the Host header use the URL's host, TLS uses the other name.
      const std::string_view port = url.port.empty() ? std::string_view("443") : url.port;
      const std::string& name = request_.tls->server_name;
      connect_to_ = curl_.slist_append(nullptr, fmt::format("{}:{}:{}:{}", name, port, url.host, port).c_str());
      set(CURLOPT_CONNECT_TO, connect_to_);
      host_header_ = std::string(url.host);
      if (!url.port.empty()) host_header_ += fmt::format(":{}", url.port);
      text = fmt::format("https://{}{}{}:{}{}", url.user, url.user.empty() ? "" : "@", name, port, url.path);
    }
  }
  set(CURLOPT_URL, text.c_str());
  set(CURLOPT_PATH_AS_IS, 1L);
}

void Transfer::set_tls(const std::string& ca_file) {
  static const Tls defaults;
  const Tls& tls = request_.tls ? *request_.tls : defaults;
  auto blob = [&](CURLoption option, const std::string& data) {
    curl_blob blob{.data = const_cast<char*>(data.data()), .len = data.size(), .flags = CURL_BLOB_COPY};
    set(option, &blob);
  };
  if (!tls.ca_data.empty()) {
    blob(CURLOPT_CAINFO_BLOB, tls.ca_data);
  } else if (const std::string& file = tls.ca_file.empty() ? ca_file : tls.ca_file; !file.empty()) {
    set(CURLOPT_CAINFO, file.c_str());
  }
  if (!tls.certificate_data.empty()) {
    blob(CURLOPT_SSLCERT_BLOB, tls.certificate_data);
  } else if (!tls.certificate_file.empty()) {
    set(CURLOPT_SSLCERT, tls.certificate_file.c_str());
  }
  if (!tls.key_data.empty()) {
    blob(CURLOPT_SSLKEY_BLOB, tls.key_data);
  } else if (!tls.key_file.empty()) {
    set(CURLOPT_SSLKEY, tls.key_file.c_str());
  }
  if (!tls.verify) {
    set(CURLOPT_SSL_VERIFYPEER, 0L);
    set(CURLOPT_SSL_VERIFYHOST, 0L);
  }
}

void Transfer::set_body() {
  if (request_.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
    return;
  }
  if (request_.body) {
    // Also for POST: libcurl adds no Content-Type to an upload.
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request_.body->size()));
    set(CURLOPT_READFUNCTION, &Transfer::on_read);
    set(CURLOPT_READDATA, this);
    set(CURLOPT_SEEKFUNCTION, &Transfer::on_seek);
    set(CURLOPT_SEEKDATA, this);
  }
  set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
}

void Transfer::set_headers() {
  auto append = [&](const std::string& line) { headers_ = curl_.slist_append(headers_, line.c_str()); };
  for (const auto& [name, value] : request_.headers) {
    // A line break would allow a value to inject headers.
    if ((name + value).find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      setup_ = CURLE_BAD_FUNCTION_ARGUMENT;
      return;
    }
    append(value.empty() ? name + ";" : name + ": " + value);
  }
  if (!host_header_.empty()) append("Host: " + host_header_);
  if (headers_ != nullptr) set(CURLOPT_HTTPHEADER, headers_);
}

std::size_t Transfer::on_header(char* data, std::size_t, std::size_t size, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  try {
    transfer.header_line(std::string_view(data, size));
  } catch (const std::exception& error) {
    transfer.sink_error_ = error.what();
    return size + 1;
  } catch (...) {
    transfer.sink_error_ = "an unknown exception";
    return size + 1;
  }
  return transfer.cancelled_ ? size + 1 : size;
}

void Transfer::header_line(std::string_view line) {
  header_bytes_ += line.size();
  if (!answer_began_) answer_began_ = std::chrono::steady_clock::now();
  check_duration();
  if (header_bytes_ > kMaxHeaders) throw std::runtime_error("its headers exceed 256 KiB");
  if (line.starts_with("HTTP/")) {  // perhaps after a "100 Continue"
    response_.headers.clear();
    const std::size_t blank = std::min(line.find(' '), line.size());
    response_.status = std::atoi(std::string(line.substr(blank)).c_str());
    if (response_.status < 200) answer_began_.reset();  // the request's body follows, and may be long
    return;
  }
  line = base::trim(line);
  if (!line.empty()) {
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos)
      response_.headers.emplace_back(base::lower(line.substr(0, colon)),
                                     std::string(base::trim(line.substr(colon + 1))));
    return;
  }
  if (response_.status < 200 || response_.status >= 300) return;
  sink_ = request_.choose_sink ? request_.choose_sink(response_) : std::move(request_.sink);
}

std::size_t Transfer::on_body(char* data, std::size_t, std::size_t size, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (transfer.cancelled_) return size + 1;
  try {
    transfer.take(std::as_bytes(std::span(data, size)));
  } catch (const std::exception& error) {
    transfer.sink_error_ = error.what();
    return size + 1;
  } catch (...) {  // exceptions must not cross libcurl
    transfer.sink_error_ = "an unknown exception";
    return size + 1;
  }
  return transfer.cancelled_ ? size + 1 : size;
}

void Transfer::check_duration() {
  const auto limit = request_.answer_timeout;
  const bool has_room = std::holds_alternative<MemorySink>(sink_) || std::holds_alternative<FileSink>(sink_);
  if (limit.count() == 0 || has_room || std::chrono::steady_clock::now() - *answer_began_ <= limit) return;
  timed_out_ = true;
  throw std::runtime_error(fmt::format("the answer did not end within {} seconds", limit.count() / 1000));
}

void Transfer::take(std::span<const std::byte> bytes) {
  const std::uint64_t at = response_.received;
  response_.received += bytes.size();
  check_duration();
  if (auto* pieces = std::get_if<PieceSink>(&sink_)) {
    if (response_.received > request_.max_body)
      throw std::runtime_error(fmt::format("the body exceeds {} bytes", request_.max_body));
    (*pieces)(bytes);
  } else if (const auto* memory = std::get_if<MemorySink>(&sink_)) {
    if (response_.received > memory->memory.size())
      throw std::runtime_error(fmt::format("the body exceeds {} bytes", memory->memory.size()));
    std::memcpy(memory->memory.data() + at, bytes.data(), bytes.size());
  } else if (const auto* file = std::get_if<FileSink>(&sink_)) {
    if (response_.received > file->limit)
      throw std::runtime_error(fmt::format("the body exceeds {} bytes", file->limit));
    std::uint64_t offset = file->offset + at;
    while (!bytes.empty()) {
      const ssize_t written = ::pwrite(file->fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw std::runtime_error(fmt::format("cannot write the file: {}", std::strerror(errno)));
      bytes = bytes.subspan(static_cast<std::size_t>(written));
      offset += static_cast<std::uint64_t>(written);
    }
  } else {
    if (response_.received > request_.max_body)
      throw std::runtime_error(fmt::format("the body exceeds {} bytes", request_.max_body));
    response_.body += base::as_text(bytes);
  }
}

std::size_t Transfer::on_read(char* data, std::size_t one, std::size_t size, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (transfer.cancelled_) return CURL_READFUNC_ABORT;
  const std::size_t count = transfer.read(std::as_writable_bytes(std::span(data, one * size)));
  return transfer.body_error_.empty() ? count : CURL_READFUNC_ABORT;
}

std::size_t Transfer::read(std::span<std::byte> into) {
  std::uint64_t begin = 0;  // of the piece in the body
  for (const auto& piece : request_.body->pieces) {
    if (sent_ < begin + piece.size()) {
      const std::size_t from = sent_ - begin;
      const std::size_t count = std::min(into.size(), piece.size() - from);
      std::memcpy(into.data(), piece.data() + from, count);
      sent_ += count;
      return count;
    }
    begin += piece.size();
  }
  const std::uint64_t from = sent_ - begin;
  if (request_.body->fd < 0 || from >= request_.body->fd_size) return 0;
  ssize_t count = 0;
  do {
    count = ::pread(request_.body->fd, into.data(), std::min<std::uint64_t>(into.size(), request_.body->fd_size - from),
                    static_cast<off_t>(request_.body->fd_offset + from));
  } while (count < 0 && errno == EINTR);
  if (count < 0) body_error_ = std::strerror(errno);
  if (count == 0) body_error_ = "the file was truncated";
  if (count <= 0) return 0;
  sent_ += static_cast<std::uint64_t>(count);
  return static_cast<std::size_t>(count);
}

int Transfer::on_seek(void* self, curl_off_t offset, int origin) {
  if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_FAIL;
  static_cast<Transfer*>(self)->sent_ = static_cast<std::uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

Response Transfer::result(CURLcode code) {
  if (setup_ != CURLE_OK) code = setup_;
  if (code == CURLE_OK) return std::move(response_);
  Failure failure{.cause = timed_out_ ? Cause::timeout : cause_of(code, response_.status >= 200)};
  std::string_view why = error_.data();
  if ((failure.cause == Cause::sink || timed_out_) && !sink_error_.empty()) why = sink_error_;
  if (failure.cause == Cause::body && !body_error_.empty()) why = body_error_;
  if (why.empty()) why = curl_.easy_strerror(code);
  failure.text = fmt::format("{} {}: {}", request_.method, printable_url(request_.url), why);
  long request_size = 0;
  curl_.easy_getinfo(easy_, CURLINFO_REQUEST_SIZE, &request_size);
  failure.may_have_arrived = setup_ == CURLE_OK && request_size > 0;
  response_.failure = std::move(failure);
  return std::move(response_);
}

}  // namespace metaflow::net
