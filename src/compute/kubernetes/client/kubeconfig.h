// Where a cluster is and how to show it who one is: kubeconfig files as kubectl reads them, or a pod's service account.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/aws_config.h"

namespace metaflow::kube {

/// Bytes that a kubeconfig holds itself, or names a file of.
struct FileOrData {
  std::string file{};  // absolute
  std::string data{};  // goes before the file. In a Kubeconfig it is base64; in an Access it is decoded

  bool empty() const { return file.empty() && data.empty(); }
};

struct ClusterEntry {
  std::string server{};
  FileOrData authority{};
  bool verify = true;
  std::string server_name{};  // that the certificate must have, in the place of the URL's host
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
  std::string token_file{};  // goes before the token
  std::string user_name{};
  std::string password{};
  std::optional<ExecPlugin> exec{};
  std::string auth_provider{};  // its name; no longer understood by anybody
  /// Whom to act as: headers that are sent along.
  std::vector<std::pair<std::string, std::string>> impersonation{};
};

struct ContextEntry {
  std::string cluster{};
  std::string user{};
  std::string name_space{};
};

/// What kubeconfig files say, merged.
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

  /// What the first of two files has counts: whole entries of a name, as Kubernetes documents it.
  void merge(Kubeconfig&& later);
};

/// The text of a kubeconfig. `file`: for messages, and where relative paths begin. Throws Error{invalid_command}.
Kubeconfig parse_kubeconfig(std::string_view text, const std::string& file);

/// Everything that is needed to talk to one cluster as one user. Holds secrets: never printed.
struct Access {
  ClusterEntry cluster{};  // the server without a '/' at its end
  UserEntry user{};
  std::string name_space{};  // what the context or the service account says; empty: nothing
  std::string source{};      // for messages: "context 'x' of /home/me/.kube/config"
};

/// The cluster and the user of a context; empty: the current one. Throws Error{invalid_command}, which names the file.
Access choose_context(const Kubeconfig& config, const std::string& context);

/// Where a pod finds its service account.
inline constexpr std::string_view kServiceAccount = "/var/run/secrets/kubernetes.io/serviceaccount";

/// As Metaflow looks: the files of KUBECONFIG, else the pod's service account, else ~/.kube/config. A context that is
/// asked for is one of a file. Throws Error{invalid_command}, which says where was looked.
Access find_access(const net::Variables& variables, const std::string& context = {},
                   const std::string& service_account = std::string(kServiceAccount));

}  // namespace metaflow::kube
