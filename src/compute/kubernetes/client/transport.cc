#include "compute/kubernetes/client/transport.h"

#include <utility>

#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "base/utf8.h"

namespace metaflow::kube {

namespace {

constexpr std::size_t kMaxMessage = 2000;

/// Returns the object of kind Status in the body of a refusal; null if there is none.
base::Json status_of(const std::string& body) {
  base::Json status = base::Json::parse(body).value_or(base::Json());
  return status["kind"] == "Status" ? status : base::Json();
}

/// Returns the policy that refused what the server's own rules allow: "admission webhook "policy.example.com""; nothing
/// if none did.
std::optional<std::string> refusing_policy(std::string_view message) {
  for (const std::string_view kind : {"admission webhook ", "ValidatingAdmissionPolicy "}) {
    const std::size_t at = message.find(kind);
    if (at == std::string_view::npos) continue;
    const std::string_view rest = message.substr(at);
    const std::size_t denied = rest.find(" denied ");
    if (denied != std::string_view::npos) return std::string(rest.substr(0, denied));
  }
  return std::nullopt;
}

std::string hint_for(const Call& call, const CallFailure& failure, const net::Response& response,
                     const std::string& source) {
  if (response.failure) {
    if (response.failure->cause == net::Cause::tls)
      return fmt::format("Check certificate-authority-data and the client's certificate of {}.", source);
    return fmt::format("Check that `kubectl get pods` works from here, with {}.", source);
  }
  // Policies refuse with any status, mostly with 403, which also means a missing permission.
  if (const auto policy = refusing_policy(failure.message))
    return fmt::format("A policy of the cluster refused it. Ask its administrators what {} requires of jobs.", *policy);
  switch (failure.status) {
    case 401: return fmt::format("The credentials of {} are invalid or expired: log in again.", source);
    case 403:
      return fmt::format("Ask for the role in docs/kubernetes/rbac.yaml. To check it: kubectl auth can-i {} {}{}",
                         call.verb, call.resource, call.name_space.empty() ? "" : " -n " + call.name_space);
    default: return {};
  }
}

}  // namespace

CallFailure failure_of(const Call& call, const net::Response& response, const std::string& source) {
  CallFailure failure{.status = response.failure ? 0 : response.status, .transient = net::is_transient(response)};
  if (response.failure) {
    failure.message = response.failure->text;
    failure.text = fmt::format("Cannot {} {}: {}", call.verb, call.object, failure.message);
  } else {
    const base::Json status = status_of(response.body);
    failure.message = status.is_object() ? status["message"].text() : net::plain_text(response.body);
    if (failure.message.size() > kMaxMessage) failure.message.resize(kMaxMessage);
    failure.message = net::on_one_line(base::replace_invalid_utf8(failure.message));
    if (status.is_object()) failure.code = status["reason"].text();
    // Quotas and patches use optimistic locks.
    if (failure.status == 409 && failure.code == "Conflict" && call.repeat_conflict) failure.transient = true;
    failure.text = fmt::format("Cannot {} {}: {} ({}{}{})", call.verb, call.object,
                               failure.message.empty() ? "the server refused" : failure.message, failure.status,
                               failure.code.empty() ? "" : " ", failure.code);
  }
  failure.hint = hint_for(call, failure, response, source);
  return failure;
}

std::optional<std::int64_t> asked_pause(const net::Response& response) {
  const base::Json status = status_of(response.body);
  const std::int64_t seconds = status["details"]["retryAfterSeconds"].integer().value_or(0);
  if (seconds <= 0 || seconds > 1'000'000) return std::nullopt;
  return seconds * 1'000'000;
}

class Transport::Running : public net::ServiceCall {
 public:
  Running(Transport& transport, Call call, Done done)
      : transport_(transport), call_(std::move(call)), done_(std::move(done)) {
    if (!call_.content_type.empty()) body_ = std::make_shared<const std::string>(std::move(call_.body));
    if (net::PieceSink sink = std::exchange(call_.sink, {})) {
      call_.sink = [this, sink = std::move(sink)](std::span<const std::byte> bytes) {
        began_ = true;
        sink(bytes);  // which may cancel this call
      };
    }
  }

  void prepare(const Ready& ready) override {
    transport_.credentials_.get([this, ready, alive = std::weak_ptr(alive_)](const Credentials::Found& found) {
      if (!alive.expired()) send(ready, found);
    });
  }

  Decision evaluate(net::Response&& response) override {
    if (!response.failure && response.status != 401) transport_.accepted_ = generation_;
    if (response.ok()) {
      answer_ = {.body = std::move(response.body)};
      return {};
    }
    if (response.status == 401 && !std::exchange(refused_, true) && transport_.credentials_.refused(generation_))
      return {.next = Next::retry_now};
    answer_ = {.failure = failure_of(call_, response, transport_.source_)};
    // A server whose authenticator fails refuses credentials that it accepted before.
    if (response.status == 401 && transport_.accepted_ == generation_) answer_.failure->transient = true;
    if (!answer_.failure->transient || began_) return {};
    return {.next = Next::retry, .delay = asked_pause(response)};
  }

  void on_retry(std::int64_t pause) override {
    if (transport_.options_.on_retry) transport_.options_.on_retry(*answer_.failure, pause);
  }

  void finish(bool may_have_executed) override {
    answer_.may_have_executed = may_have_executed;
    if (done_) done_(std::move(answer_));
  }

 private:
  void send(const Ready& ready, const Credentials::Found& found) {
    if (found.error) {
      answer_ = {.failure = CallFailure{
                     .message = found.error->message(),
                     .text = fmt::format("Cannot {} {}: {}", call_.verb, call_.object, found.error->message()),
                     .hint = found.error->hint(),
                     .transient = found.may_recover}};
      return ready({.transient = found.may_recover});
    }
    const Identity& identity = found.identity;
    generation_ = identity.generation;
    net::Request request{.method = call_.method,
                         .url = transport_.server_ + call_.path,
                         .headers = identity.headers,
                         .max_body = call_.max_body,
                         .idle_timeout = call_.idle_timeout,
                         .min_speed = call_.sink ? 1U : net::kMinSpeed,
                         .answer_timeout = call_.answer_timeout,
                         .tls = identity.tls,
                         .proxy = identity.proxy};
    request.headers.emplace_back("Accept", call_.sink ? "*/*" : "application/json");
    if (body_) {
      request.headers.emplace_back("Content-Type", call_.content_type);
      request.body = net::Body{.pieces = {base::as_bytes(*body_)}, .owner = body_};
    }
    if (call_.sink) request.sink = call_.sink;
    ready({.request = std::move(request)});
  }

  Transport& transport_;
  Call call_;
  Done done_;
  CallAnswer answer_;
  std::shared_ptr<const std::string> body_;
  std::uint64_t generation_ = 0;                                            // of the credentials
  bool refused_ = false;                                                    // by 401, once
  bool began_ = false;                                                      // the stream has begun
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);  // while this exists
};

Transport::Transport(base::EventLoop& loop, base::Clock& clock, Access access, TransportOptions options,
                     std::function<double()> random)
    : loop_(loop),
      clock_(clock),
      options_(std::move(options)),
      random_(std::move(random)),
      server_(access.cluster.server),
      source_(access.source),
      credentials_(loop, clock, std::move(access)),
      // A stream has its own connection, so that its failures do not affect others.
      http_({.connections_per_host = 0, .connections_kept = options_.limits.calls_at_a_time}),
      queue_(loop, clock, http_, options_.limits, random_) {
  http_.attach(loop);
}

Transport::~Transport() = default;

Transport::Id Transport::start(Call call, Done done) {
  net::CallQueue::Order order{.kind = call.verb + " " + call.resource};
  if (call.sink) order.lane = net::CallQueue::Lane::stream;
  if (call.tries > 0) {
    order.retry = options_.limits.retry;
    order.retry->tries = call.tries;
  }
  order.call = std::make_unique<Running>(*this, std::move(call), std::move(done));
  return queue_.start(std::move(order));
}

void Transport::cancel(Id id) { queue_.cancel(id); }

}  // namespace metaflow::kube
