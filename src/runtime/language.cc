#include "runtime/language.h"

#include <optional>

#include <metaflow/caught.h>
#include <metaflow/error.h>

#include "base/format.h"
#include "base/process.h"
#include "value/unpickler.h"

namespace metaflow::runtime {

namespace {

/// Whether the artifact can hold both an exception and no value.
bool holds_exception(const detail::ArtifactDescription& artifact, const Language& language) {
  if (artifact.kind != detail::ArtifactKind::plain) return false;
  const Language::ValueCheck check = language.value_check();
  if (!check) return true;
  try {
    for (const auto& caught : {std::optional<CaughtException>(), std::optional(CaughtException{})}) {
      detail::Pickler pickler;
      detail::encode(pickler, caught);
      pickler.finish();
      check(artifact.name, value::read_back(pickler).root(), detail::Place{});
    }
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::vector<std::string> Language::task_command() const { return base::own_command(); }

void check_catch(const graph::Graph& graph, const Language& language) {
  for (const graph::Step& step : graph.steps()) {
    const auto caught = graph::find_decorator<catch_>(step.decorators);
    if (!caught) continue;
    const auto* artifact = graph.flow().find_artifact(caught->var.name());
    if (artifact == nullptr || holds_exception(*artifact, language)) continue;
    throw Error(ErrorCode::invalid_flow,
                fmt::format("@catch cannot store an exception in '{}': its type does not allow it", caught->var.name()),
                fmt::format("Declare it as: std::optional<mf::CaughtException> {};", caught->var.name()));
  }
}

}  // namespace metaflow::runtime
