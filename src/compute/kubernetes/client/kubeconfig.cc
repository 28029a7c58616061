#include "compute/kubernetes/client/kubeconfig.h"

#include <nettle/base64.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "base/percent.h"
#include "base/text.h"
#include "net/plain_http.h"

namespace metaflow::kube {

namespace {

Error wrong(const std::string& file, const std::string& what, const std::string& hint = {}) {
  return Error(ErrorCode::invalid_command, fmt::format("The kubeconfig {} cannot be used: {}", file, what), hint);
}

/// One mapping of the file, with its description for messages: "user 'x'".
class Section {
 public:
  Section(const YAML::Node& node, std::string where, const std::string& file)
      : node_(node), where_(std::move(where)), file_(file) {
    if (node_.IsDefined() && !node_.IsNull() && !node_.IsMap()) throw wrong(file_, where_ + " is not a mapping");
  }

  bool there() const { return node_.IsDefined() && node_.IsMap(); }
  const std::string& where() const { return where_; }

  Section section(const char* key) const { return {child(key), fmt::format("'{}' of {}", key, where_), file_}; }

  std::string text(const char* key) const {
    const YAML::Node node = child(key);
    if (!node.IsDefined() || node.IsNull()) return {};
    if (!node.IsScalar()) throw wrong(file_, fmt::format("'{}' of {} is not a string", key, where_));
    return node.Scalar();
  }

  bool flag(const char* key) const {
    const std::string value = text(key);
    if (value.empty()) return false;
    bool flag = false;
    if (!YAML::convert<bool>::decode(YAML::Node(value), flag))
      throw wrong(file_, fmt::format("'{}' of {} is neither true nor false", key, where_));
    return flag;
  }

  /// A path, which may be relative to the file's directory.
  std::string path(const char* key) const { return absolute(text(key)); }
  std::string absolute(const std::string& path) const {
    if (path.empty() || path.front() == '/') return path;
    return base::absolute_path(base::directory_of(file_) + "/" + path);
  }

  FileOrData file_or_data(const std::string& key) const { return {path(key.c_str()), text((key + "-data").c_str())}; }

  std::vector<std::string> texts(const char* key) const {
    std::vector<std::string> texts;
    each(key, [&](const YAML::Node& node) {
      if (!node.IsScalar())
        throw wrong(file_, fmt::format("'{}' of {} contains a value that is not a string", key, where_));
      texts.push_back(node.Scalar());
    });
    return texts;
  }

  /// Each mapping of a list.
  template <class F>
  void sections(const char* key, F take) const {
    each(key, [&](const YAML::Node& node) { take(Section(node, fmt::format("an entry of '{}'", key), file_)); });
  }

  /// Each key of a mapping, with its list of texts.
  template <class F>
  void lists(const char* key, F take) const {
    const Section inner = section(key);
    if (!inner.there()) return;
    for (const auto& pair : inner.node_) {
      if (!pair.first.IsScalar())
        throw wrong(file_, fmt::format("'{}' of {} has a key that is not a string", key, where_));
      const std::string name = pair.first.Scalar();
      take(name, inner.texts(name.c_str()));
    }
  }

 private:
  YAML::Node child(const char* key) const { return there() ? node_[key] : YAML::Node(YAML::NodeType::Undefined); }

  template <class F>
  void each(const char* key, F take) const {
    const YAML::Node node = child(key);
    if (!node.IsDefined() || node.IsNull()) return;
    if (!node.IsSequence()) throw wrong(file_, fmt::format("'{}' of {} is not a list", key, where_));
    for (const YAML::Node& item : node) take(item);
  }

  const YAML::Node node_;  // const: else looking for a key would add it
  std::string where_;
  const std::string& file_;
};

ClusterEntry read_cluster(const Section& section) {
  return {.server = section.text("server"),
          .authority = section.file_or_data("certificate-authority"),
          .verify = !section.flag("insecure-skip-tls-verify"),
          .server_name = section.text("tls-server-name"),
          .proxy = section.text("proxy-url")};
}

ContextEntry read_context(const Section& section) {
  return {section.text("cluster"), section.text("user"), section.text("namespace")};
}

ExecPlugin read_exec(const Section& section) {
  ExecPlugin plugin{.api_version = section.text("apiVersion"),
                    .command = section.text("command"),
                    .arguments = section.texts("args"),
                    .install_hint = section.text("installHint"),
                    .interactive_mode = section.text("interactiveMode"),
                    .provide_cluster_info = section.flag("provideClusterInfo")};
  // A bare name is looked up in PATH.
  if (plugin.command.find('/') != std::string::npos) plugin.command = section.absolute(plugin.command);
  section.sections("env", [&](const Section& variable) {
    plugin.environment.emplace_back(variable.text("name"), variable.text("value"));
  });
  return plugin;
}

UserEntry read_user(const Section& section) {
  UserEntry user{.certificate = section.file_or_data("client-certificate"),
                 .key = section.file_or_data("client-key"),
                 .token = std::string(base::trim(section.text("token"))),
                 .token_file = section.path("tokenFile"),
                 .user_name = section.text("username"),
                 .password = section.text("password")};
  if (const Section exec = section.section("exec"); exec.there()) user.exec = read_exec(exec);
  if (const Section provider = section.section("auth-provider"); provider.there()) {
    user.auth_provider = provider.text("name");
    if (user.auth_provider.empty()) user.auth_provider = "without a name";
  }
  auto act = [&](const std::string& header, const std::string& value) {
    if (!value.empty()) user.impersonation.emplace_back(header, value);
  };
  act("Impersonate-User", section.text("as"));
  act("Impersonate-Uid", section.text("as-uid"));
  for (const std::string& group : section.texts("as-groups")) act("Impersonate-Group", group);
  section.lists("as-user-extra", [&](const std::string& key, const std::vector<std::string>& values) {
    for (const std::string& value : values) act("Impersonate-Extra-" + base::percent_encode(key), value);
  });
  return user;
}

/// The entries of a list: [{name: NAME, KIND: {...}}].
template <class Entry, class Read>
void read_entries(const Section& root, const char* list, const char* kind, const std::string& file,
                  std::map<std::string, Kubeconfig::From<Entry>>& entries, Read read) {
  root.sections(list, [&](const Section& item) {
    const std::string name = item.text("name");
    if (!entries.try_emplace(name, Kubeconfig::From<Entry>{read(item.section(kind)), file}).second)
      throw wrong(file, fmt::format("there are two entries '{}' in '{}'", name, list), "Remove one of them.");
  });
}

/// Replaces `data` by what it encodes. Messages do not repeat it: it may be a key.
void decode(FileOrData& value, const std::string& what, const std::string& file) {
  if (value.data.empty()) {
    if (!value.file.empty() && !base::exists(value.file))
      throw wrong(file, fmt::format("{} is {}, which does not exist", what, value.file));
    return;
  }
  std::string decoded(BASE64_DECODE_LENGTH(value.data.size()), '\0');
  base64_decode_ctx context;
  base64_decode_init(&context);
  std::size_t size = decoded.size();
  if (base64_decode_update(&context, &size, reinterpret_cast<std::uint8_t*>(decoded.data()), value.data.size(),
                           value.data.data()) == 0 ||
      base64_decode_final(&context) == 0)
    throw wrong(file, fmt::format("{}-data is not valid base64", what));
  decoded.resize(size);
  value.data = std::move(decoded);
}

template <class Entry>
const Kubeconfig::From<Entry>& look_up(const std::map<std::string, Kubeconfig::From<Entry>>& entries,
                                       const std::string& name, const std::string& what, const std::string& file) {
  const auto found = entries.find(name);
  if (found != entries.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [known, entry] : entries) names.push_back(known);
  throw wrong(file, fmt::format("there is no {} '{}'", what, name),
              names.empty() ? std::string() : fmt::format("There are: {}.", base::join(names, ", ")));
}

void check_cluster(ClusterEntry& cluster, const std::string& name, const std::string& file) {
  const std::string where = fmt::format("cluster '{}'", name);
  if (!cluster.server.starts_with("https://") && !cluster.server.starts_with("http://"))
    throw wrong(file, cluster.server.empty() ? where + " has no server"
                                             : fmt::format("the server of {} is not an https:// URL", where));
  while (cluster.server.ends_with('/')) cluster.server.pop_back();
  if (!cluster.verify && !cluster.authority.empty())
    throw wrong(file, where + " has a certificate authority, but also insecure-skip-tls-verify", "Remove one of them.");
  decode(cluster.authority, "certificate-authority", file);
  if (cluster.proxy.empty()) return;
  for (const char* scheme : {"http://", "https://", "socks5://", "socks5h://"}) {
    if (cluster.proxy.starts_with(scheme)) return;
  }
  throw wrong(file, fmt::format("the proxy-url of {} is not an http, https or socks5 URL", where));
}

void check_exec(const ExecPlugin& exec, const std::string& where, const std::string& file) {
  const std::string hint =
      "Recreate the kubeconfig with the provider's tool (aws eks update-kubeconfig, gcloud "
      "container clusters get-credentials, az aks get-credentials).";
  if (exec.command.empty()) throw wrong(file, fmt::format("'exec' of {} has no command", where), hint);
  if (exec.api_version != "client.authentication.k8s.io/v1" &&
      exec.api_version != "client.authentication.k8s.io/v1beta1")
    throw wrong(file,
                fmt::format("'exec' of {} has apiVersion '{}', not client.authentication.k8s.io/v1 or v1beta1", where,
                            exec.api_version),
                hint);
  if (exec.interactive_mode == "Always")
    throw wrong(file,
                fmt::format("'exec' of {} ({}) requires a terminal (interactiveMode Always)", where, exec.command),
                "A run has no terminal. Use a context with a token, a certificate or another plugin.");
}

void check_user(UserEntry& user, const std::string& name, const std::string& file) {
  const std::string where = fmt::format("user '{}'", name);
  if (!user.auth_provider.empty())
    throw wrong(file,
                fmt::format("{} has an 'auth-provider' ({}), which Kubernetes 1.26 removed", where, user.auth_provider),
                "Use an exec plugin: gke-gcloud-auth-plugin, kubelogin, aws eks get-token.");
  decode(user.certificate, "client-certificate", file);
  decode(user.key, "client-key", file);
  if (user.certificate.empty() != user.key.empty())
    throw wrong(file, fmt::format("{} has a client-{} only", where, user.key.empty() ? "certificate" : "key"),
                "A certificate requires its key.");
  if ((!user.token.empty() || !user.token_file.empty()) && !user.user_name.empty())
    throw wrong(file, where + " has both a token and a user name", "Remove one of them.");
  if (user.exec) check_exec(*user.exec, where, file);
}

Kubeconfig read_files(const std::vector<std::string>& files) {
  Kubeconfig merged;
  bool any = false;
  for (const std::string& file : files) {
    std::optional<base::SharedBytes> text;
    try {
      text = base::read_file(file);
    } catch (const Error& error) {
      throw Error(ErrorCode::invalid_command, "The kubeconfig cannot be read: " + error.message(),
                  "Make it readable, or set KUBECONFIG to another file.");
    }
    if (!text) continue;  // as kubectl does
    any = true;
    merged.merge(parse_kubeconfig(text->text(), file));
  }
  if (!any)
    throw Error(ErrorCode::invalid_command,
                fmt::format("No kubeconfig found: {} does not exist", base::join(files, " or ")),
                "Set KUBECONFIG to the file that your cluster's administrator or your provider's tool made.");
  return merged;
}

Access service_account(const std::string& host, const net::Variables& variables, const std::string& directory) {
  const std::string token_file = directory + "/token";
  if (!base::exists(token_file))
    throw Error(ErrorCode::invalid_command,
                fmt::format("KUBERNETES_SERVICE_HOST is set, but there is no {}", token_file),
                "Give the pod a service account (automountServiceAccountToken), or set KUBECONFIG.");
  Access access{.source = "the pod's service account"};
  const bool v6 = host.find(':') != std::string::npos && host.front() != '[';
  access.cluster.server = fmt::format("https://{}{}{}:{}", v6 ? "[" : "", host, v6 ? "]" : "",
                                      variables("KUBERNETES_SERVICE_PORT").value_or("443"));
  if (base::exists(directory + "/ca.crt")) access.cluster.authority.file = directory + "/ca.crt";
  access.user.token_file = token_file;
  if (const auto name = base::try_read_file(directory + "/namespace"))
    access.name_space = std::string(base::trim(name->text()));
  return access;
}

}  // namespace

void Kubeconfig::merge(Kubeconfig&& later) {
  if (current_context.empty()) current_context = std::move(later.current_context);
  contexts.merge(later.contexts);
  clusters.merge(later.clusters);
  users.merge(later.users);
}

Kubeconfig parse_kubeconfig(std::string_view text, const std::string& file) {
  Kubeconfig config;
  try {
    const YAML::Node document = YAML::Load(std::string(text));
    if (document.IsNull()) return config;
    const Section root(document, "the file", file);
    config.current_context = root.text("current-context");
    read_entries(root, "clusters", "cluster", file, config.clusters, read_cluster);
    read_entries(root, "contexts", "context", file, config.contexts, read_context);
    read_entries(root, "users", "user", file, config.users, read_user);
  } catch (const YAML::Exception& error) {
    if (error.mark.is_null()) throw wrong(file, "it is not valid YAML: " + error.msg);
    throw wrong(file, fmt::format("it is not valid YAML: {} (line {}, column {})", error.msg, error.mark.line + 1,
                                  error.mark.column + 1));
  }
  return config;
}

Access choose_context(const Kubeconfig& config, const std::string& context) {
  const std::string& name = context.empty() ? config.current_context : context;
  std::vector<std::string> files;
  for (const auto& [known, entry] : config.contexts) {
    if (std::find(files.begin(), files.end(), entry.file) == files.end()) files.push_back(entry.file);
  }
  const std::string all = files.empty() ? "without contexts" : base::join(files, ":");
  if (name.empty())
    throw wrong(all, "it has no current-context",
                "Choose one: kubectl config get-contexts, kubectl config use-context.");
  const auto& [chosen, file] = look_up(config.contexts, name, "context", all);
  Access access{.name_space = chosen.name_space, .source = fmt::format("context '{}' of {}", name, file)};
  const auto& cluster = look_up(config.clusters, chosen.cluster, "cluster", file);
  access.cluster = cluster.entry;
  check_cluster(access.cluster, chosen.cluster, cluster.file);
  if (chosen.user.empty()) return access;  // anonymous, as through `kubectl proxy`
  const auto& user = look_up(config.users, chosen.user, "user", file);
  access.user = user.entry;
  check_user(access.user, chosen.user, user.file);
  return access;
}

namespace {

Access look_for_access(const net::Variables& variables, const std::string& context,
                       const std::string& service_account) {
  if (const auto list = variables("KUBECONFIG")) {
    std::vector<std::string> files;
    for (const std::string& file : base::split(*list, ':')) {
      if (!file.empty()) files.push_back(base::absolute_path(file));
    }
    if (!files.empty()) return choose_context(read_files(files), context);
  }
  if (context.empty()) {
    if (const auto host = variables("KUBERNETES_SERVICE_HOST"))
      return kube::service_account(*host, variables, service_account);
  }
  const auto home = variables("HOME");
  if (!home)
    throw Error(ErrorCode::invalid_command, "No kubeconfig found: neither KUBECONFIG nor HOME is set",
                "Set KUBECONFIG to the file that your cluster's administrator or your provider's tool made.");
  return choose_context(read_files({*home + "/.kube/config"}), context);
}

}  // namespace

Access find_access(const net::Variables& variables, const std::string& context, const std::string& service_account) {
  Access access = look_for_access(variables, context, service_account);
  const UserEntry& user = access.user;
  if (!user.token.empty() || !user.token_file.empty() || !user.user_name.empty() || user.exec)
    net::check_keys_are_encrypted(access.cluster.server, "The server of " + access.source, variables);
  return access;
}

}  // namespace metaflow::kube
