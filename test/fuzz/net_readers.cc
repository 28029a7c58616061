// What servers answer, and the configuration files of AWS and of Kubernetes.
#include "base/iso_time.h"
#include "base/json.h"
#include "base/percent.h"
#include "compute/kubernetes/client/exec_plugin.h"
#include "compute/kubernetes/client/kubeconfig.h"
#include "compute/kubernetes/client/objects.h"
#include "net/aws_config.h"
#include "net/aws_credentials.h"
#include "net/retry.h"
#include "net/url.h"
#include "net/xml.h"
#include "readers.h"
#include "store/s3/content_range.h"
#include "store/s3/s3_client.h"

namespace metaflow::fuzz {

void take_xml(std::string_view input) {
  const auto root = net::parse_xml(input);
  if (!root) return;
  require(!root->name.empty(), "an element has a name");
  (void)root->text_of("Contents/Key");
  (void)root->text_of("//");
  const auto again = net::parse_xml("<a>" + net::xml_escape(root->text) + "</a>");
  require(again && again->text == root->text, "text is read as written");
}

void take_aws_config(std::string_view input) { (void)net::parse_ini(input); }

void take_header(std::string_view input) {
  const std::string text(input);
  const net::Response response{.headers = {{"retry-after", text}}};
  const auto wait = net::retry_after(response, 0);
  require(!wait || *wait >= 0, "a delay is not negative");
  (void)base::parse_iso_time(input);
  (void)net::printable_url(input);
  require(base::percent_decode(base::percent_encode(input)) == input, "text is decoded as encoded");
  const auto range = store::parse_content_range(input);
  require(!range || (range->first <= range->last && range->last < range->total), "a part is within the whole");
  succeeds({ErrorCode::invalid_command}, [&] { (void)store::parse_s3_url(text); });
  succeeds({ErrorCode::invalid_command}, [&] { (void)store::parse_s3_url("s3://" + text); });
}

void take_kubeconfig(std::string_view input) {
  kube::Kubeconfig config;
  if (!succeeds({ErrorCode::invalid_command}, [&] { config = kube::parse_kubeconfig(input, "/nowhere/config"); }))
    return;
  succeeds({ErrorCode::invalid_command}, [&] { (void)kube::choose_context(config, {}); });
  for (const auto& [name, context] : config.contexts) {
    succeeds({ErrorCode::invalid_command}, [&] {
      const kube::Access access = kube::choose_context(config, name);
      require(access.cluster.server.starts_with("http"), "a server is a URL");
    });
  }
}

void take_kubernetes_answer(std::string_view input) {
  std::size_t objects = 0;
  const auto end = kube::parse_page(input, [&](base::Json&& object) {
    ++objects;
    require(object.is_object(), "a list holds objects");
    (void)kube::text_at(object, {"metadata", "labels", "x/owner"});
  });
  if (end) {
    const auto list = base::Json::parse_object(input);
    require(list.has_value() && list->contains("items"), "a list is an object with items");
  }
  kube::Lines lines(64);
  for (std::size_t at = 0; at < input.size(); at += 7) {
    if (!lines.add(input.substr(at, 7))) break;
    while (const auto line = lines.next()) require(line->find('\n') == std::string_view::npos, "a line is one");
  }
  const kube::ExecPlugin plugin{.api_version = "client.authentication.k8s.io/v1", .command = "plugin"};
  succeeds({ErrorCode::invalid_command}, [&] {
    const kube::PluginCredentials given = kube::parse_exec_credential(input, plugin);
    require(!given.token.empty() || !given.certificate.empty(), "a plugin gives something");
  });
}

}  // namespace metaflow::fuzz
