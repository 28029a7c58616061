// The decorator `batch`.
#include "compute/batch/decorator.h"

#include "graph/decorator_kind.h"

namespace metaflow {

detail::Decorator make_decorator(const batch& decorator) { return graph::describe_decorator(decorator); }

template std::optional<batch> graph::find_decorator<batch>(const std::vector<Decorator>&);

namespace awsbatch {

namespace {

void normalise(base::Json& attributes) {
  graph::change(attributes, {"aws_batch_tags"}, [](base::Json& dict) {
    graph::make_dict(dict);
    graph::make_text(dict);
  });
  graph::change(attributes, {"host_volumes", "efs_volumes", "log_options"}, graph::make_list);
  graph::change(attributes, {"image", "queue"}, graph::make_plain);
}

}  // namespace

const graph::DecoratorKind& decorator_kind() {
  static const graph::DecoratorKind kKind = [] {
    graph::DecoratorKind kind = graph::kind_of<batch>();
    kind.normalise = normalise;
    return kind;
  }();
  return kKind;
}

}  // namespace awsbatch
}  // namespace metaflow
