#include "compute/kubernetes/run_namespace.h"

#include <algorithm>
#include <utility>

#include <metaflow/error.h>

#include "base/format.h"
#include "compute/kubernetes/manifest.h"

namespace metaflow::kube {

namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kMinRenewal = 60 * kSecond;
constexpr const char* kUrl = "MF_URL";

}  // namespace

RunNamespace::RunNamespace(base::EventLoop& loop, base::Clock& clock, const Access& access, const std::string& name,
                           const std::string& run_key, std::string secret, Link link, Handler handler)
    : loop_(loop),
      clock_(clock),
      secret_(std::move(secret)),
      run_key_(run_key),
      link_(std::move(link)),
      handler_(std::move(handler)),
      api_(loop, clock, access, api_options(name)) {
  beginning_ = loop_.after(0, [this] {
    beginning_.reset();
    begin();
  });
}

RunNamespace::~RunNamespace() {
  cancel(beginning_);
  cancel(renewal_);
}

void RunNamespace::cancel(std::optional<base::EventLoop::Timer>& timer) {
  if (timer) loop_.cancel(*timer);
  timer.reset();
}

ApiOptions RunNamespace::api_options(const std::string& name) {
  ApiOptions options;
  options.name_space = name;
  options.owner_label = kRunLabel;
  options.transport.on_retry = [this](const CallFailure& failure, std::int64_t /*pause*/) {
    trouble(failure.advised());
  };
  return options;
}

void RunNamespace::begin() {
  WatchHandler handler;
  handler.on_change = [this](Change change, Json&& pod) {
    troubles_.over();
    handler_.on_pod(change, pod);
  };
  handler.on_trouble = [this](const CallFailure& failure, std::int64_t /*pause*/) { trouble(failure.advised()); };
  handler.on_failure = [this](const CallFailure& failure) {
    if (!over_) handler_.on_failure(failure.advised());
  };
  watch_.emplace(api_, Resource::pods, Selection{.labels = fmt::format("{}={}", kRunLabel, run_key_)},
                 std::move(handler));
  if (secret_.empty()) {
    ready_ = true;
    return handler_.on_ready();
  }
  store::Link link;
  try {
    link = link_();
  } catch (const Error& error) {
    return handler_.on_failure(net::advised(error.message(), error.hint()));
  }
  api_.create(Resource::secrets, secret_manifest(secret_, run_key_, {{kUrl, link.url}}), [this](Answer&& answer) {
    if (over_) return;
    if (answer.failure) return handler_.on_failure(answer.failure->advised());
    ready_ = true;
    handler_.on_ready();
  });
  renew_at(link.expires);
}

void RunNamespace::trouble(const std::string& words) {
  if (over_ || !troubles_.add(clock_.monotonic_microseconds())) return;
  handler_.on_trouble(fmt::format("Retrying the cluster: {}", words));
}

/// A pod may start long after its job was created, when the first link has expired.
void RunNamespace::renew_at(std::int64_t expires) {
  const std::int64_t left = expires * kSecond - clock_.wall_microseconds();
  renewal_ = loop_.after(std::max(left / 2, kMinRenewal), [this] {
    renewal_.reset();
    renew();
  });
}

/// A failure is retried soon: half of the link's life is left.
void RunNamespace::renew() {
  auto again = [this](const std::string& words) {
    if (over_) return;
    handler_.on_trouble(fmt::format("Cannot renew the link to the flow's package, retrying: {}", words));
    renewal_ = loop_.after(kMinRenewal, [this] {
      renewal_.reset();
      renew();
    });
  };
  store::Link link;
  try {
    link = link_();
  } catch (const Error& error) {
    return again(net::advised(error.message(), error.hint()));
  }
  api_.patch(Resource::secrets, secret_, {{"stringData", {{kUrl, link.url}}}},
             [this, again, expires = link.expires](Answer&& answer) {
               if (over_) return;
               if (answer.failure) return again(answer.failure->advised());
               renew_at(expires);
             });
}

void RunNamespace::end(std::function<void()> done) {
  over_ = true;
  cancel(beginning_);
  cancel(renewal_);
  if (secret_.empty()) return done();
  api_.remove(Resource::secrets, secret_, [done = std::move(done)](Answer&&) { done(); });
}

}  // namespace metaflow::kube
