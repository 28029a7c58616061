// check, show, output-dot, output-raw, version: commands that do not execute the flow.

#include <metaflow/version.h>

#include "base/files.h"
#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/libraries.h"
#include "runtime/parameters.h"
#include "value/json_value.h"

namespace metaflow::cli {

using base::Json;

namespace {

void out(std::string_view text) { Context::print(text); }

}  // namespace

Command check_command(Context& context) {
  struct Options {
    bool warnings = false;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  return {.name = "check",
          .help = "Check that the flow is valid (default).",
          .options = {{.name = "--warnings",
                       .help = "Has no effect: the compiler has already shown all warnings.",
                       .set = store_flag(options->warnings)},
                      {.name = "--json", .help = "Print the result as JSON.", .set = store_flag(options->json)}},
          .run = [&context, options] {
            context.echo("Validating your flow...\n");
            context.make_graph();
            runtime::parameter_options(context.language);
            context.echo("    The graph looks good!\n");
            if (options->json) {
              out(Json{{"flow", context.flow.name}, {"valid", true}}.dump() + "\n");
              return 0;
            }
            context.echo(
                fmt::format("\n'{0} show' shows a description of this flow.\n'{0} run' runs the flow locally.\n'{0} "
                            "help' shows all available "
                            "commands and options.\n\n",
                            context.command()));
            return 0;
          }};
}

Command show_command(Context& context) {
  auto json = std::make_shared<bool>(false);
  return {.name = "show",
          .help = "Show the steps of the flow.",
          .options = {{.name = "--json", .help = "Print the structure as JSON.", .set = store_flag(*json)}},
          .run = [&context, json] {
            const graph::Graph graph = context.make_graph();
            if (*json) {
              out(graph::graph_info(graph, context.file_name()).dump_indented(2) + "\n");
              return 0;
            }
            if (!context.flow.doc.empty()) Context::echo_always("\n" + context.flow.doc + "\n");
            for (const std::string& step : graph::to_text(graph)) {
              Context::echo_always("\n");
              out(step);
            }
            Context::echo_always("\n");
            return 0;
          }};
}

Command output_dot_command(Context& context) {
  return {.name = "output-dot", .help = "Print the graph of the flow for Graphviz.", .run = [&context] {
            context.echo("Visualizing the flow as a GraphViz graph\n");
            out(graph::to_dot(context.make_graph()));
            return 0;
          }};
}

Command output_raw_command(Context& context) {
  auto json = std::make_shared<bool>(false);
  return {.name = "output-raw",
          .help = "Print the internal representation of the graph.",
          .options = {{.name = "--json", .help = "Print it as JSON.", .set = store_flag(*json)}},
          .run = [&context, json] {
            const graph::Graph graph = context.make_graph();
            context.echo(*json ? "Internal representation of the flow in JSON format:\n"
                               : "Internal representation of the flow:\n");
            const Json raw = graph::to_json(graph);
            if (*json) {
              out(raw.dump_indented(4) + "\n");
            } else {
              for (const auto& [name, step] : raw["graph"].members()) out(fmt::format("{}: {}\n", name, step.dump()));
            }
            return 0;
          }};
}

namespace {

Json version_json() {
  Json libraries = Json::object();
  for (const auto& [name, version] : library_versions()) libraries.set(name, version);
  return {{"version", METAFLOW_CPP_VERSION}, {"language", "C++"}, {"libraries", libraries}};
}

}  // namespace

Command version_command() {
  auto json = std::make_shared<bool>(false);
  return {.name = "version",
          .help = "Print the version of Metaflow.",
          .options = {{.name = "--json",
                       .help = "Print the version as JSON, with those of the libraries in the program.",
                       .set = store_flag(*json)}},
          .run = [json] {
            out(*json ? version_json().dump() + "\n" : fmt::format("{}\n", kVersionText));
            return 0;
          }};
}

}  // namespace metaflow::cli
