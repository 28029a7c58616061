// Plugins that provide credentials for a cluster (client.authentication.k8s.io): aws eks get-token,
// gke-gcloud-auth-plugin, kubelogin.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <metaflow/error.h>

#include "base/event_loop.h"
#include "base/process.h"
#include "compute/kubernetes/client/kubeconfig.h"

namespace metaflow::kube {

/// The output of a plugin. Never printed.
struct PluginCredentials {
  std::string token{};
  std::string certificate{};  // PEM
  std::string key{};          // PEM
  std::int64_t expires = 0;   // seconds since 1970; 0: not given
};

/// Parses the answer of a plugin. Throws Error{invalid_command}, which repeats nothing of it.
PluginCredentials parse_exec_credential(std::string_view text, const ExecPlugin& plugin);

/// The value of KUBERNETES_EXEC_INFO.
std::string exec_info(const Access& access);

/// A running plugin, driven by the loop. The destructor ends it.
class ExecPluginRun {
 public:
  struct Result {
    PluginCredentials credentials{};
    std::optional<Error> error{};
    /// With an error: the plugin failed or took too long, and may succeed the next time.
    bool is_transient = false;
  };
  using Done = std::function<void(Result&&)>;

  /// Starts it. `done` is called once, by the loop, and may destroy this. `access` must outlive this.
  ExecPluginRun(base::EventLoop& loop, const Access& access, Done done);
  ~ExecPluginRun();
  ExecPluginRun(const ExecPluginRun&) = delete;
  ExecPluginRun& operator=(const ExecPluginRun&) = delete;

 private:
  void start();
  void read(base::Fd& fd, std::string& text);
  void stop_reading(base::Fd& fd);
  void ended();
  void give_up(const std::string& why);
  Error failure(const std::string& why) const;
  void finish(Result&& result);
  void release();

  base::EventLoop& loop_;
  const Access& access_;
  Done done_;
  base::Child child_;
  std::string out_;
  std::string err_;
  std::optional<base::EventLoop::Timer> timer_;
};

}  // namespace metaflow::kube
