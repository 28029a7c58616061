#include "compute/kubernetes/client/credentials.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/files.h"
#include "base/format.h"
#include "base/text.h"

namespace metaflow::kube {

namespace {

// A kubelet renews the token of a service account long before it expires; others may renew theirs at any time.
constexpr std::int64_t kTokenFileSeconds = 60;
// A plugin is run again this long before its credentials expire, or in the last tenth of a shorter life.
constexpr std::int64_t kRenewBefore = 60;
constexpr std::int64_t kPauseAfterFailure = 10;
constexpr int kPluginTries = 4;

std::shared_ptr<net::Tls> make_tls(const Access& access) {
  auto tls = std::make_shared<net::Tls>();
  tls->ca_file = access.cluster.authority.file;
  tls->ca_data = access.cluster.authority.data;
  tls->certificate_file = access.user.certificate.file;
  tls->certificate_data = access.user.certificate.data;
  tls->key_file = access.user.key.file;
  tls->key_data = access.user.key.data;
  tls->server_name = access.cluster.server_name;
  tls->verify = access.cluster.verify;
  return tls;
}

}  // namespace

Credentials::Credentials(base::EventLoop& loop, base::Clock& clock, Access access, std::int64_t pause)
    : loop_(loop), clock_(clock), access_(std::move(access)), pause_(pause) {
  const UserEntry& user = access_.user;
  identity_.tls = make_tls(access_);
  if (!access_.cluster.proxy.empty()) identity_.proxy = access_.cluster.proxy;
  for (const auto& [name, value] : user.impersonation) fixed_headers_.emplace_back(name, value);
  if (!user.user_name.empty()) {
    const std::string pair = user.user_name + ":" + user.password;
    fixed_headers_.emplace_back("Authorization", "Basic " + base::base64(base::as_bytes(pair)));
  }
  identity_.headers = fixed_headers_;
  if (!user.token.empty()) set_token(user.token);
}

Credentials::~Credentials() {
  if (again_) loop_.cancel(*again_);
}

void Credentials::set_token(const std::string& token) {
  identity_.headers = fixed_headers_;
  if (!token.empty()) identity_.headers.emplace_back("Authorization", "Bearer " + token);
  ++identity_.generation;
}

void Credentials::get(Done done) {
  if (!access_.user.token_file.empty()) {
    if (now() >= renew_at_) read_token_file();
  } else if (access_.user.exec && access_.user.token.empty() && access_.user.user_name.empty()) {
    if (now() >= renew_at_) {
      if (!run_ && !again_) ask_plugin();
      // Credentials that are still valid are used meanwhile.
      if (!had_some_ || now() >= expires_) {
        waiting_.push_back(std::move(done));
        return;
      }
    }
  }
  done({identity_, error_, had_some_});
}

void Credentials::read_token_file() {
  const std::string& path = access_.user.token_file;
  const auto text = base::try_read_file(path);
  const std::string token(text ? base::trim(text->text()) : std::string_view());
  if (!token.empty()) {
    set_token(token);
    error_.reset();
    had_some_ = true;
    renew_at_ = now() + kTokenFileSeconds;
  } else if (!had_some_ && !access_.user.token.empty()) {
    renew_at_ = now() + kTokenFileSeconds;  // the token of the kubeconfig is used
  } else if (!had_some_) {
    error_ = Error(ErrorCode::invalid_command,
                   fmt::format("Cannot read the token for {} from {} ({})", access_.cluster.server, path,
                               text ? "it is empty" : "it is missing or not readable"),
                   "Check tokenFile in the kubeconfig, or the pod's service account.");
  }
}

void Credentials::ask_plugin() {
  run_ = std::make_unique<ExecPluginRun>(loop_, access_,
                                         [this](ExecPluginRun::Result&& result) { answered(std::move(result)); });
}

void Credentials::answered(ExecPluginRun::Result&& result) {
  const std::unique_ptr<ExecPluginRun> over = std::move(run_);
  const std::int64_t time = now();
  const bool is_transient = result.error && result.is_transient && ++failures_ < kPluginTries;
  if (!is_transient) failures_ = 0;
  if (!result.error) {
    const PluginCredentials& given = result.credentials;
    set_token(given.token);
    auto tls = make_tls(access_);
    if (!given.certificate.empty()) {
      tls->certificate_data = given.certificate;
      tls->key_data = given.key;
    }
    identity_.tls = std::move(tls);
    error_.reset();
    had_some_ = true;
    expires_ = given.expires;
    const std::int64_t life = std::max<std::int64_t>(expires_ - time, 0);
    renew_at_ = expires_ == 0 ? std::numeric_limits<std::int64_t>::max()
                              : std::max(expires_ - std::min(kRenewBefore, life / 10), time + 1);
  } else if (had_some_ && expires_ > time) {
    renew_at_ = std::min(time + kPauseAfterFailure, expires_);  // the old ones are still valid
    failures_ = 0;
  } else if (is_transient) {
    again_ = loop_.after(pause_ << (failures_ - 1), [this] {
      again_.reset();
      ask_plugin();
    });
    return;
  } else {
    error_ = std::move(result.error);
  }
  deliver();
}

void Credentials::deliver() {
  const Found found{identity_, error_, had_some_};
  if (error_) renew_at_ = 0;
  std::vector<Done> waiting = std::exchange(waiting_, {});
  for (const Done& done : waiting) done(found);
}

bool Credentials::refused(std::uint64_t generation) {
  if (generation != identity_.generation) return true;
  const bool renewed = !access_.user.token_file.empty() ||
                       (access_.user.exec && access_.user.token.empty() && access_.user.user_name.empty());
  if (!renewed) return false;
  renew_at_ = 0;
  expires_ = 0;
  return true;
}

}  // namespace metaflow::kube
