// The decorator `kubernetes`.
#include "compute/kubernetes/decorator.h"

#include "graph/decorator_kind.h"

namespace metaflow {

detail::Decorator make_decorator(const kubernetes& decorator) { return graph::describe_decorator(decorator); }

template std::optional<kubernetes> graph::find_decorator<kubernetes>(const std::vector<Decorator>&);

namespace kube {

namespace {

void normalise(base::Json& attributes) {
  graph::change(
      attributes,
      {"node_selector", "labels", "annotations", "persistent_volume_claims", "extended_resources", "security_context"},
      [](base::Json& dict) {
        graph::make_dict(dict);
        graph::make_text(dict);
      });
  graph::change(attributes, {"tolerations"}, graph::make_text);
  graph::change(attributes, {"secrets", "image_pull_secrets"}, graph::make_list);
  graph::change(attributes, {"image", "namespace", "service_account", "compute_pool"}, graph::make_plain);
}

}  // namespace

const graph::DecoratorKind& decorator_kind() {
  static const graph::DecoratorKind kKind = [] {
    graph::DecoratorKind kind = graph::kind_of<kubernetes>();
    kind.normalise = normalise;
    return kind;
  }();
  return kKind;
}

}  // namespace kube
}  // namespace metaflow
