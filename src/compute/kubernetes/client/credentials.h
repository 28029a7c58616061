// Credentials that authenticate requests to an API server: tokens and certificates, renewed in time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <metaflow/error.h>

#include "base/clock.h"
#include "base/event_loop.h"
#include "compute/kubernetes/client/exec_plugin.h"
#include "compute/kubernetes/client/kubeconfig.h"
#include "net/http.h"

namespace metaflow::kube {

/// Sent with one request. Holds secrets: never printed.
struct Identity {
  net::Headers headers{};
  std::shared_ptr<const net::Tls> tls{};
  std::optional<std::string> proxy{};
  std::uint64_t generation = 0;  // which of the credentials, for refused()
};

/// Credentials of one user of one cluster. Not thread-safe.
class Credentials {
 public:
  static constexpr std::int64_t kPluginPause = 500'000;  // microseconds

  /// `loop` and `clock` must outlive this. A plugin that fails is run three times more: after `pause` (microseconds),
  /// which doubles each time.
  Credentials(base::EventLoop& loop, base::Clock& clock, Access access, std::int64_t pause = kPluginPause);
  ~Credentials();
  Credentials(const Credentials&) = delete;
  Credentials& operator=(const Credentials&) = delete;

  /// An identity, or the error.
  struct Found {
    Identity identity{};
    std::optional<Error> error{};
    /// With an error: earlier requests succeeded, so later ones may.
    bool may_recover = false;
  };
  using Done = std::function<void(const Found&)>;

  /// Calls back with a valid identity: at once, unless a plugin has to run first.
  void get(Done done);

  /// Reports that the server did not accept (401) an identity of this generation. Returns whether the next identity
  /// that get() gives is another.
  bool refused(std::uint64_t generation);

 private:
  void read_token_file();
  void set_token(const std::string& token);
  void ask_plugin();
  void answered(ExecPluginRun::Result&& result);
  void deliver();
  std::int64_t now() const { return clock_.wall_microseconds() / 1'000'000; }

  base::EventLoop& loop_;
  base::Clock& clock_;
  Access access_;
  Identity identity_;
  net::Headers fixed_headers_;
  std::optional<Error> error_;
  std::int64_t renew_at_ = 0;  // seconds since 1970, for what is renewed; 0: at once
  std::int64_t expires_ = 0;   // of a plugin's credentials; 0: never
  bool had_some_ = false;
  const std::int64_t pause_;
  std::unique_ptr<ExecPluginRun> run_;
  int failures_ = 0;  // of the plugin, in a row
  std::optional<base::EventLoop::Timer> again_;
  std::vector<Done> waiting_;
};

}  // namespace metaflow::kube
