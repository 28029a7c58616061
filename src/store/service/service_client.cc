#include "store/service/service_client.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "base/utf8.h"
#include "net/plain_http.h"
#include "store/service/service_rows.h"

namespace metaflow::store {

using base::Json;

namespace {

constexpr int kInFlight = 16;
constexpr int kInBackground = 4;  // of those
constexpr int kAttemptsBeforeReport = 3;
constexpr std::int64_t kReportInterval = 60'000'000;
constexpr std::size_t kMaxQuoted = 300;  // how much of an answer is quoted

/// Statuses that do not tell whether the server behind a gateway carried the request out.
bool is_ambiguous(int status) { return status == 500 || status == 502 || status == 504; }

std::string shortened(std::string_view text) {
  std::string line = base::replace_invalid_utf8(text.substr(0, kMaxQuoted));
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }, ' ');
  return std::string(base::trim(line)) + (text.size() > kMaxQuoted ? "..." : "");
}

/// A line break in a name or value would begin another header.
bool fits_header(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7F; });
}

net::Headers parse_headers(const std::string& text) {
  const std::string hint = R"(Example: {"x-team": "risk"})";
  const auto json = Json::parse_object(text);
  if (!json) throw Error(ErrorCode::invalid_command, "METAFLOW_SERVICE_HEADERS is not a JSON object", hint);
  net::Headers headers;
  for (const auto& [name, value] : json->members()) {
    if (!value.is_text() || name.empty() || name.find(':') != std::string::npos || !fits_header(name) ||
        !fits_header(value.text())) {
      throw Error(ErrorCode::invalid_command,
                  fmt::format("METAFLOW_SERVICE_HEADERS: '{}' is not a header with a text value", shortened(name)),
                  hint);
    }
    headers.emplace_back(name, value.text());
  }
  return headers;
}

/// A key in a file with an address belongs to that address, and not to another one in the environment.
void check_belongs_to(const std::string& url, const char* variable, const base::Settings& settings) {
  const auto key = settings.find(variable);
  const auto configured = settings.find_in_files("METAFLOW_SERVICE_URL");
  if (!key || key->file.empty() || !configured) return;
  std::string address = configured->value;
  while (address.ends_with('/')) address.pop_back();
  if (address == url) return;
  throw Error(ErrorCode::invalid_command,
              fmt::format("{} in '{}' is for {}, but METAFLOW_SERVICE_URL is {}", variable, key->file,
                          net::printable_url(address), net::printable_url(url)),
              fmt::format("Set {} in the environment as well, or unset METAFLOW_SERVICE_URL.", variable));
}

std::array<int, 3> numbers_of(std::string_view version) {
  std::array<int, 3> numbers{};
  const char* at = version.data();
  const char* const end = at + version.size();
  for (int& number : numbers) {
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc() || next == end || *next != '.') break;
    at = next + 1;
  }
  return numbers;
}

}  // namespace

bool older_version(std::string_view version, std::string_view than) { return numbers_of(version) < numbers_of(than); }

ServiceOptions service_options(const base::Settings& settings, const std::string& url) {
  ServiceOptions options;
  options.url = url.empty() ? settings.get("SERVICE_URL", "") : url;
  if (options.url.empty()) {
    throw Error(
        ErrorCode::invalid_command, "Missing Metaflow Service URL",
        "Specify with METAFLOW_SERVICE_URL environment variable, for example http://host:8080, or use --metadata "
        "local, which needs no service.");
  }
  while (options.url.ends_with('/')) options.url.pop_back();
  const bool is_http = options.url.starts_with("http://") || options.url.starts_with("https://");
  if (!is_http || options.url.find_first_of("?# ") != std::string::npos || !fits_header(options.url)) {
    throw Error(ErrorCode::invalid_command,
                fmt::format("{} is '{}', which is not the URL of a metadata service",
                            url.empty() ? "METAFLOW_SERVICE_URL" : "The metadata", net::printable_url(options.url)),
                "Use the form https://host:port/path");
  }
  if (const auto headers = settings.get("SERVICE_HEADERS")) options.headers = parse_headers(*headers);
  if (const auto key = settings.get("SERVICE_AUTH_KEY")) {
    if (!fits_header(*key))
      throw Error(ErrorCode::invalid_command, "METAFLOW_SERVICE_AUTH_KEY contains a control character");
    std::erase_if(options.headers, [](const net::Header& header) { return base::lower(header.first) == "x-api-key"; });
    options.headers.emplace_back("x-api-key", *key);
  }
  if (!options.headers.empty()) {
    net::check_keys_are_encrypted(options.url, "The metadata service", net::variables_of(settings));
    for (const char* variable : {"METAFLOW_SERVICE_AUTH_KEY", "METAFLOW_SERVICE_HEADERS"})
      check_belongs_to(options.url, variable, settings);
  }
  options.headers.emplace_back("Content-Type", "application/json");
  if (const auto count = settings.get("SERVICE_RETRY_COUNT")) {
    int tries = 0;
    const auto [end, error] = std::from_chars(count->data(), count->data() + count->size(), tries);
    if (error != std::errc() || end != count->data() + count->size() || tries < 1) {
      throw Error(
          ErrorCode::invalid_command,
          fmt::format("METAFLOW_SERVICE_RETRY_COUNT is '{}', which is not a number of attempts", shortened(*count)));
    }
    options.retry.tries = options.run_retry.tries = tries;
  }
  return options;
}

class ServiceClient::Running : public net::ServiceCall {
 public:
  Running(ServiceClient& client, ServiceRequest request, Done done)
      : client_(client), request_(std::move(request)), done_(std::move(done)) {}

  void prepare(const Ready& ready) override {
    const ServiceOptions& options = client_.options_;
    net::Request request{.method = request_.method, .url = options.url + request_.path, .headers = options.headers};
    if (request_.body) request.body = net::text_body(*request_.body);
    request.idle_timeout = std::chrono::seconds(request_.background ? 10 : 60);
    ++tries_;
    ready({.request = std::move(request)});
  }

  Decision evaluate(net::Response&& plain) override {
    answer_ = ServiceAnswer{std::move(plain)};
    if (!answer_.failure) answer_.json = parse_answer(answer_.body);
    answer_.tries = tries_;
    lost_now_ = answer_.failure ? answer_.failure->may_have_arrived : is_ambiguous(answer_.status);
    const bool transient = net::is_transient(answer_) || (request_.is_registered && answer_.status == 400);
    if (!request_.background) client_.report(answer_, transient);
    const bool may_try_again = !request_.background && (request_.repeatable || !lost_now_);
    return {.next = transient && may_try_again ? Next::retry : Next::finish};
  }

  void on_retry(std::int64_t) override { lost_ = lost_ || lost_now_; }

  void finish(bool) override {
    answer_.after_lost_answer = lost_;
    answer_.may_have_arrived = lost_now_ || lost_;
    done_(std::move(answer_));
  }

 private:
  ServiceClient& client_;
  ServiceRequest request_;
  Done done_;
  ServiceAnswer answer_;
  int tries_ = 0;
  bool lost_now_ = false;  // the last attempt may have been carried out
  bool lost_ = false;      // or an earlier one
};

ServiceClient::ServiceClient(ServiceOptions options, base::EventLoop& loop, base::Clock& clock)
    : options_(std::move(options)),
      loop_(loop),
      clock_(clock),
      random_(net::jitter()),
      retry_(&options_.retry),
      http_({.connections_per_host = kInFlight, .connections_kept = kInFlight}),
      queue_(loop, clock, http_,
             {.calls_per_second = 0,
              .calls_at_a_time = kInFlight,
              .background_at_a_time = kInBackground,
              .retry = options_.run_retry},
             [this] { return random_(); }) {
  http_.attach(loop_);
}

ServiceClient::~ServiceClient() = default;

void ServiceClient::start(ServiceRequest request, Done done) {
  net::CallQueue::Order order{.retry = *retry_};
  if (request.background) order.lane = net::CallQueue::Lane::background;
  order.call = std::make_unique<Running>(*this, std::move(request), std::move(done));
  queue_.start(std::move(order));
}

ServiceAnswer ServiceClient::fetch(ServiceRequest request) {
  const auto answer =
      std::make_shared<std::optional<ServiceAnswer>>();  // if the loop throws, the answer may come later
  start(std::move(request), [answer](ServiceAnswer&& given) { *answer = std::move(given); });
  while (!*answer) loop_.run_once();
  return std::move(**answer);
}

/// Reports the begin and the end of trouble. A problem that the next attempt solves is not reported, and a service that
/// fails repeatedly is reported once a minute.
void ServiceClient::report(const ServiceAnswer& answer, bool trouble) {
  const bool in_run = retry_ == &options_.run_retry;
  if (trouble == in_trouble_ || !in_run || !report_) return;
  if (!trouble) {
    in_trouble_ = false;
    return report_("The metadata service is responding again.");
  }
  const std::int64_t now = clock_.monotonic_microseconds();
  if (answer.tries < kAttemptsBeforeReport || now < next_report_) return;
  in_trouble_ = true;
  next_report_ = now + kReportInterval;
  report_(
      fmt::format("The metadata service {} is failing ({}). The run continues, and sends the missing metadata later.",
                  url(), answer.failure ? answer.failure->text : fmt::format("status {}", answer.status)));
}

std::optional<std::string> ServiceClient::check(std::string_view at_least) {
  const ServiceAnswer answer = fetch({.path = "/ping"});
  if (!answer.ok()) throw error("talk", answer);
  if (base::trim(answer.body) != "pong") {
    throw Error(ErrorCode::metadata_service, fmt::format("The server at {} is not a Metaflow metadata service", url()),
                "Check METAFLOW_SERVICE_URL. The service listens on port 8080 by default; the UI has another address.");
  }
  const auto version = answer.header("metadata_service_version");
  if (!version) return std::nullopt;
  if (older_version(*version, at_least)) {
    throw Error(
        ErrorCode::metadata_service,
        fmt::format("The metadata service {} has version {}, but {} is required", url(), shortened(*version), at_least),
        "Upgrade the service, or use --metadata local.");
  }
  return std::string(*version);
}

void ServiceClient::check_name(NameKind kind, std::string_view name) const {
  if (is_name(kind, name)) return;
  throw Error(ErrorCode::metadata_service,
              fmt::format("In an answer of the metadata service {}, {}", url(), not_a_name(kind, name)),
              "Check METAFLOW_SERVICE_URL.");
}

Error ServiceClient::error(std::string_view operation, const ServiceAnswer& answer) const {
  std::string why;
  std::string hint;
  if (answer.failure) {
    why = answer.failure->text;
    hint = answer.failure->cause == net::Cause::tls
               ? "Set SSL_CERT_FILE to a file with the server's certificate authority."
               : "Check METAFLOW_SERVICE_URL, and that the service is running.";
  } else if (answer.status >= 300 && answer.status < 400) {
    why = fmt::format("it redirects to another address ({})",
                      net::printable_url(shortened(answer.header("location").value_or("no address given"))));
    hint = "Set METAFLOW_SERVICE_URL to the address of the service itself.";
  } else if (answer.ok()) {
    why = "its answer is not that of a metadata service";
    hint = "Check METAFLOW_SERVICE_URL.";
  } else {
    const std::string words = shortened(words_of_answer(answer.json));
    why = fmt::format("it answers with {}{}{}", answer.status, words.empty() ? "" : ": ", words);
    if (answer.status == 401 || answer.status == 403)
      hint = "Set METAFLOW_SERVICE_AUTH_KEY or METAFLOW_SERVICE_HEADERS to valid credentials.";
    else if (answer.status == 404)
      hint = "Check METAFLOW_SERVICE_URL.";
    else
      hint = "See the service's log.";
  }
  if (retry_ == &options_.run_retry)  // in a run
    hint += "\nFinished tasks are stored. To continue: resume (without the service: --metadata local resume)";
  return {ErrorCode::metadata_service,
          fmt::format("Cannot {} with the metadata service {}{}: {}", operation, url(),
                      answer.tries > 1 ? fmt::format(" ({} attempts)", answer.tries) : "", why),
          hint};
}

}  // namespace metaflow::store
