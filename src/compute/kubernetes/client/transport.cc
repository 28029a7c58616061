#include "compute/kubernetes/client/transport.h"

#include <fmt/format.h>

#include <utility>

#include "base/json.h"
#include "base/text.h"

namespace metaflow::kube {

namespace {

using base::text_member;

constexpr std::size_t kMostWords = 2000;

/// The object of kind Status that a refusal has for its body; null if it has another.
nlohmann::json status_of(const std::string& body) {
  if (base::is_deep_json(body)) return {};
  nlohmann::json status = nlohmann::json::parse(body, nullptr, false);
  if (!status.is_object() || status.value("kind", nlohmann::json()) != "Status") return {};
  return status;
}

/// What a server asked for in the body rather than by Retry-After.
std::optional<std::int64_t> pause_of(const nlohmann::json& status) {
  if (!status.is_object()) return std::nullopt;
  const auto details = status.find("details");
  if (details == status.end() || !details->is_object()) return std::nullopt;
  const auto seconds = details->find("retryAfterSeconds");
  if (seconds == details->end() || !seconds->is_number_integer()) return std::nullopt;
  const auto value = seconds->get<std::int64_t>();
  if (value <= 0 || value > 1'000'000) return std::nullopt;
  return value * 1'000'000;
}

/// The text of a refusal that is no Status: a proxy's page, or "Too many requests". On one line.
std::string plain_words(const std::string& body) {
  std::string words = base::replace_invalid_utf8(base::trim(body.substr(0, 200)));
  for (char& c : words) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return words.starts_with('<') ? std::string() : words;
}

std::string hint_for(const Call& call, const ApiFailure& failure, const net::Response& response,
                     const std::string& source) {
  if (response.failure) {
    if (response.failure->cause == net::Cause::tls)
      return fmt::format("Check certificate-authority-data and the client's certificate of {}.", source);
    return fmt::format("Check that `kubectl get pods` works from here, with {}.", source);
  }
  switch (failure.status) {
    case 401: return fmt::format("The credentials of {} are not accepted (any more): log in again.", source);
    case 403:
      return fmt::format(
          "Ask for what docs/kubernetes/rbac.yaml grants. `kubectl auth can-i {} {}` tells whether you have it.",
          call.verb, call.resource);
    default: return {};
  }
}

}  // namespace

Transport::Transport(base::EventLoop& loop, base::Clock& clock, Access access, TransportOptions options,
                     std::function<double()> random)
    : loop_(loop),
      clock_(clock),
      options_(std::move(options)),
      random_(std::move(random)),
      server_(access.cluster.server),
      source_(access.source),
      bucket_(options_.calls_per_second, options_.burst),
      budget_(options_.retry.budget),
      credentials_(loop, clock, std::move(access)),
      // A stream has a connection for itself: whatever happens to it happens to nothing else.
      http_({.connections_per_host = 0, .connections_kept = options_.calls_at_a_time}) {
  http_.attach(loop_);
}

Transport::~Transport() {
  if (pump_timer_) loop_.cancel(*pump_timer_);
  for (auto& [id, entry] : entries_) {
    if (entry->timer) loop_.cancel(*entry->timer);
  }
}

Transport::Id Transport::start(Call call, Done done) {
  const Id id = next_id_++;
  net::RetryOptions tries = options_.retry;
  if (call.tries > 0) tries.tries = call.tries;
  auto entry = std::make_unique<Entry>(std::move(call), std::move(done), tries, budget_, [this] { return random_(); });
  if (!entry->call.content_type.empty()) entry->body = std::make_shared<const std::string>(std::move(entry->call.body));
  if (net::PieceSink sink = std::exchange(entry->call.sink, {})) {
    entry->call.sink = [raw = entry.get(), sink = std::move(sink)](std::span<const std::byte> bytes) {
      raw->began = true;
      sink(bytes);  // which may cancel this call
    };
  }
  entries_.emplace(id, std::move(entry));
  queue_.push_back(id);
  pump();
  return id;
}

void Transport::cancel(Id id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  Entry& entry = *found->second;
  if (entry.timer) loop_.cancel(*entry.timer);
  if (entry.transfer != 0) http_.cancel(entry.transfer);
  leave_place(entry);
  std::erase(queue_, id);
  entries_.erase(found);
  pump();
}

/// Begins what waits, as far as there are tokens and places.
void Transport::pump() {
  while (!queue_.empty()) {
    const Id id = queue_.front();
    Entry& entry = *entries_.at(id);
    if (!entry.call.sink && running_ >= options_.calls_at_a_time) return;
    if (pump_timer_) return;
    if (const std::int64_t wait = bucket_.take(clock_.monotonic_microseconds()); wait > 0) {
      if (!std::exchange(entry.delayed, true)) ++counters_.delayed;
      pump_timer_ = loop_.after(wait, [this] {
        pump_timer_.reset();
        pump();
      });
      return;
    }
    queue_.pop_front();
    if (!entry.call.sink) {
      entry.running = true;
      ++running_;
    }
    credentials_.get([this, id](const Credentials::Found& found) {
      if (entries_.contains(id)) send(id, found);
    });
  }
}

void Transport::leave_place(Entry& entry) {
  entry.transfer = 0;
  if (std::exchange(entry.running, false)) --running_;
}

void Transport::send(Id id, const Credentials::Found& found) {
  Entry& entry = *entries_.at(id);
  const Call& call = entry.call;
  if (found.error) {
    ApiFailure failure{.message = found.error->message(),
                       .text = fmt::format("Cannot {} {}: {}", call.verb, call.object, found.error->message()),
                       .hint = found.error->hint(),
                       .transient = found.may_recover};
    // Not from within start().
    entry.timer = loop_.after(0, [this, id, failure = std::move(failure)]() mutable {
      entries_.at(id)->timer.reset();
      fail(id, std::move(failure), std::nullopt);
    });
    return;
  }
  const Identity& identity = found.identity;
  entry.generation = identity.generation;
  net::Request request{.method = call.method,
                       .url = server_ + call.path,
                       .headers = identity.headers,
                       .idle_timeout = call.idle_timeout,
                       .tls = identity.tls,
                       .proxy = identity.proxy};
  request.headers.emplace_back("Accept", call.sink ? "*/*" : "application/json");
  if (entry.body) {
    request.headers.emplace_back("Content-Type", call.content_type);
    request.body = net::Body{.pieces = {base::as_bytes(*entry.body)}, .owner = entry.body};
  }
  if (call.sink) request.sink = call.sink;
  ++counters_.calls;
  ++counters_.by_kind[call.verb + " " + call.resource];
  if (std::exchange(entry.sent, true)) ++counters_.retries;
  entry.transfer =
      http_.start(std::move(request), [this, id](net::Response&& response) { answered(id, std::move(response)); });
}

void Transport::answered(Id id, net::Response&& response) {
  Entry& entry = *entries_.at(id);
  leave_place(entry);
  if (response.ok()) {
    entry.retry.succeeded();
    finish(id, {.body = std::move(response.body), .may_have_been_done = entry.arrived});
    return;
  }
  if (response.status == 429) ++counters_.refused;
  if (response.status == 401 && !std::exchange(entry.refused, true) && credentials_.refused(entry.generation)) {
    queue_.push_back(id);
    pump();
    return;
  }
  // A server that answers so may have done it before it lost its head.
  if (response.failure ? response.failure->may_have_arrived : response.status >= 500) entry.arrived = true;
  ApiFailure failure = failure_of(entry, response);
  auto pause = net::retry_after(response, clock_.wall_microseconds());
  if (!pause) pause = pause_of(status_of(response.body));
  fail(id, std::move(failure), pause);
}

/// Another try, or the end.
void Transport::fail(Id id, ApiFailure failure, std::optional<std::int64_t> server_pause) {
  Entry& entry = *entries_.at(id);
  leave_place(entry);
  if (failure.transient && !entry.began) {
    if (const auto pause = entry.retry.next_pause(server_pause)) {
      entry.timer = loop_.after(*pause, [this, id] {
        entries_.at(id)->timer.reset();
        queue_.push_back(id);
        pump();
      });
      pump();
      if (options_.on_retry) options_.on_retry(failure, *pause);
      return;
    }
  }
  const bool arrived = entry.arrived;
  finish(id, {.failure = std::move(failure), .may_have_been_done = arrived});
}

void Transport::finish(Id id, CallAnswer&& answer) {
  const Done done = std::move(entries_.at(id)->done);
  entries_.erase(id);
  pump();
  if (done) done(std::move(answer));
}

ApiFailure Transport::failure_of(const Entry& entry, const net::Response& response) const {
  ApiFailure failure{.status = response.failure ? 0 : response.status, .transient = net::is_transient(response)};
  if (response.failure) {
    failure.message = response.failure->text;
    failure.text = fmt::format("Cannot {} {}: {}", entry.call.verb, entry.call.object, failure.message);
  } else {
    const nlohmann::json status = status_of(response.body);
    failure.message = status.is_object() ? text_member(status, "message") : plain_words(response.body);
    if (failure.message.size() > kMostWords) failure.message.resize(kMostWords);
    if (status.is_object()) failure.reason = text_member(status, "reason");
    // Quotas are counted with optimistic locks; so are patches.
    if (failure.status == 409 && failure.reason == "Conflict" && entry.call.repeat_conflict) failure.transient = true;
    failure.text = fmt::format("Cannot {} {}: {} ({}{}{})", entry.call.verb, entry.call.object,
                               failure.message.empty() ? "the server refused" : failure.message, failure.status,
                               failure.reason.empty() ? "" : " ", failure.reason);
  }
  failure.hint = hint_for(entry.call, failure, response, source_);
  return failure;
}

}  // namespace metaflow::kube
