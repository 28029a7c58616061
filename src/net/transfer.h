// One HTTP transfer for libcurl: the options of its handle, and its callbacks.
#pragma once

#include <array>

#include "net/curl.h"
#include "net/http.h"

namespace metaflow::net {

/// Belongs to one client, and is used by its thread only.
class Transfer {
 public:
  /// `easy` is new or reset; the caller owns it. `ca_file`: for requests without one; empty: libcurl's default.
  Transfer(const Curl& curl, CURL* easy, HttpClient::Id id, Request request, const std::string& ca_file, bool http2);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  CURL* easy() const { return easy_; }
  HttpClient::Id id() const { return id_; }
  /// The transfer of a handle.
  static Transfer& of(const Curl& curl, CURL* easy);

  /// Ends the transfer at the next callback.
  void cancel() { cancelled_ = true; }
  bool cancelled() const { return cancelled_; }
  /// CURLE_OK if the request is valid; otherwise the transfer fails before it starts.
  CURLcode setup() const { return setup_; }

  /// The result. Call once.
  Response result(CURLcode code);

 private:
  template <class Value>
  void set(CURLoption option, Value value);
  void set_url(const std::string& ca_file);
  void set_tls(const std::string& ca_file);
  void set_body();
  void set_headers();

  static std::size_t on_header(char* data, std::size_t, std::size_t size, void* self);
  static std::size_t on_body(char* data, std::size_t, std::size_t size, void* self);
  static std::size_t on_read(char* data, std::size_t one, std::size_t size, void* self);
  static int on_seek(void* self, curl_off_t offset, int origin);
  void header_line(std::string_view line);
  void take(std::span<const std::byte> bytes);
  void check_duration();
  std::size_t read(std::span<std::byte> into);

  const Curl& curl_;
  CURL* easy_;
  HttpClient::Id id_;
  Request request_;
  Response response_;
  Sink sink_;
  std::string host_header_;
  std::string sink_error_;
  std::string body_error_;
  std::uint64_t sent_ = 0;
  std::size_t header_bytes_ = 0;  // received
  std::optional<std::chrono::steady_clock::time_point> answer_began_;
  bool timed_out_ = false;
  curl_slist* headers_ = nullptr;
  curl_slist* connect_to_ = nullptr;
  CURLcode setup_ = CURLE_OK;
  bool cancelled_ = false;
  std::array<char, CURL_ERROR_SIZE> error_{};
};

}  // namespace metaflow::net
