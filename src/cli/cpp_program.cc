#include "cli/cpp_program.h"

#include <vector>

#include "cli/main.h"
#include "cli/several_flows.h"
#include "runtime/cpp/cpp_language.h"

namespace metaflow::cli {

int run_cpp_program(std::span<const detail::FlowEntry> flows, const compute::Platforms& platforms, int argc,
                    char** argv) {
  const bool has_several = flows.size() > 1;
  const auto run = [&](std::size_t index, int count, char** words) {
    const detail::FlowEntry& entry = flows[index];
    const detail::FlowDescription flow = runtime::describe(*entry.table, entry.annotations());
    const runtime::CppLanguage language(*entry.table);
    return run_program({flow, language, has_several}, platforms, count, words);
  };
  if (!has_several) return run(0, argc, argv);
  std::vector<FlowName> names;
  for (const detail::FlowEntry& entry : flows) names.push_back({entry.table->name, entry.table->doc()});
  if (const auto named = find_named_flow(names, argc, argv)) return run(named->index, named->argc, named->argv);
  return run_and_report([&] { return run_without_flow(names, argc, argv); });
}

}  // namespace metaflow::cli
