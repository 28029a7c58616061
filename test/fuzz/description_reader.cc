// The description of a flow in Python, which also stands in packages.
#include <string>

#include "base/text.h"
#include "compute/platform.h"
#include "graph/graph.h"
#include "python/described_flow.h"
#include "readers.h"

namespace metaflow::fuzz {

void take_description(std::string_view input) {
  const std::initializer_list<ErrorCode> refused = {ErrorCode::invalid_flow, ErrorCode::invalid_value,
                                                    ErrorCode::unknown_decorator, ErrorCode::unknown_attribute};
  python::DescribedFlow described;
  const graph::DecoratorTable& decorators = compute::platforms().decorators();
  if (!succeeds(refused,
                [&] { described = python::read_description(base::SharedBytes(std::string(input)), decorators); }))
    return;
  for (const auto& parameter : described.parameters)
    require(!parameter.value || parameter.value->payload.size() <= input.size(), "a value is in the description");
  const auto again =
      python::read_description(base::SharedBytes(python::description_for_package(described)), decorators);
  require(again.flow.name == described.flow.name, "a package has the flow's name");
  succeeds(refused, [&] { (void)graph::graph_info(graph::Graph(described.flow, decorators), "flow.py"); });
}

}  // namespace metaflow::fuzz
