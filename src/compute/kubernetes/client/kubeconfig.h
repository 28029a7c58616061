// The address of a cluster and the user's credentials: kubeconfig files, read as kubectl does, or a pod's service
// account.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/aws_config.h"

namespace metaflow::kube {

/// Bytes that a kubeconfig contains, or the file that contains them.
struct FileOrData {
  std::string file{};  // absolute
  std::string data{};  // wins over the file. Base64 in a Kubeconfig, decoded in an Access

  bool empty() const { return file.empty() && data.empty(); }
};

struct ClusterEntry {
  std::string server{};
  FileOrData authority{};
  bool verify = true;
  std::string server_name{};  // that the certificate must have, instead of the URL's host
  std::string proxy{};
};

/// A program that gives credentials: client.authentication.k8s.io.
struct ExecPlugin {
  std::string api_version{};
  std::string command{};
  std::vector<std::string> arguments{};
  std::vector<std::pair<std::string, std::string>> environment{};  // added to our own
  std::string install_hint{};
  std::string interactive_mode{};
  bool provide_cluster_info = false;
};

struct UserEntry {
  FileOrData certificate{};
  FileOrData key{};
  std::string token{};
  std::string token_file{};  // wins over the token
  std::string user_name{};
  std::string password{};
  std::optional<ExecPlugin> exec{};
  std::string auth_provider{};  // its name; Kubernetes no longer supports it
  /// Headers that impersonate another user.
  std::vector<std::pair<std::string, std::string>> impersonation{};
};

struct ContextEntry {
  std::string cluster{};
  std::string user{};
  std::string name_space{};
};

/// The merged content of kubeconfig files.
struct Kubeconfig {
  template <class Entry>
  struct From {
    Entry entry;
    std::string file;
  };

  std::string current_context{};
  std::map<std::string, From<ContextEntry>> contexts{};
  std::map<std::string, From<ClusterEntry>> clusters{};
  std::map<std::string, From<UserEntry>> users{};

  /// Adds a later file. The first file with an entry of a name wins as a whole, as Kubernetes documents it.
  void merge(Kubeconfig&& later);
};

/// Parses a kubeconfig. `file`: for messages, and the base of relative paths. Throws Error{invalid_command}.
Kubeconfig parse_kubeconfig(std::string_view text, const std::string& file);

/// Everything that is required to talk to one cluster as one user. Holds secrets: never printed.
struct Access {
  ClusterEntry cluster{};  // the server without a '/' at its end
  UserEntry user{};
  std::string name_space{};  // of the context or the service account; empty: none
  std::string source{};      // for messages: "context 'x' of /home/me/.kube/config"
};

/// Returns the cluster and the user of a context; empty: the current one. Throws Error{invalid_command}, which names
/// the file.
Access choose_context(const Kubeconfig& config, const std::string& context);

/// The path of a pod's service account.
inline constexpr std::string_view kServiceAccount = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Searches as Metaflow does: the files of KUBECONFIG, else the pod's service account, else ~/.kube/config. A named
/// context is one of a file. Throws Error{invalid_command}, which names the searched paths.
Access find_access(const net::Variables& variables, const std::string& context = {},
                   const std::string& service_account = std::string(kServiceAccount));

}  // namespace metaflow::kube
