// package list, package save: the package that is sent to other hosts.

#include "compute/package/package.h"

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/commands.h"
#include "compute/run_plan.h"

namespace metaflow::cli {

namespace {

using base::Json;
using compute::PackagePlan;

struct PackageOptions {
  std::vector<std::string> libraries;
  bool json = false;
  bool code = false;
  std::string file;
};

PackagePlan plan(Context& context, const PackageOptions& options) {
  const auto code = context.run_site().read_code();
  return compute::plan_own_package(options.libraries, code ? &*code : nullptr);
}

int list(Context& context, const PackageOptions& options) {
  const PackagePlan package = plan(context, options);
  const std::string machine = base::machine_name(package.machine);
  if (options.json) {
    Json files = Json::list();
    for (const auto& file : package.files)
      files.push_back({{"name", file.name}, {"source", file.source}, {"size", file.size}});
    const Json all{{"machine", machine},
                   {"static", package.is_static},
                   {"files", files},
                   {"size", package.size()},
                   {"of_host", package.of_host}};
    Context::print(all.dump() + "\n");
    return 0;
  }
  std::size_t width = 0;
  for (const auto& file : package.files) width = std::max(width, file.name.size());
  std::string text;
  for (const auto& file : package.files)
    text += fmt::format("{:>10}  {:{}}  {}\n", base::human_bytes(file.size), file.name, width, file.source);
  text += fmt::format("{:>10}  in {} files for {}, before compression\n", base::human_bytes(package.size()),
                      package.files.size(), machine);
  if (package.is_static) text += "The program is static: it cannot load libraries at run time.\n";
  if (!package.of_host.empty())
    text += fmt::format("Not included, expected on the host that executes it: {}\n", base::join(package.of_host, ", "));
  if (!package.has_roots)
    text +=
        "No certificate authorities included: none were found on this host (Debian: apt install ca-certificates).\n";
  Context::print(text);
  return 0;
}

int save(Context& context, const PackageOptions& options) {
  if (options.code) {
    auto code = context.run_site().read_code();
    if (!code) code = compute::code_of_graph(context.make_graph(), context.file_name());
    base::write_output_file(options.file, compute::make_code_archive(*code, context.user()));
    return 0;
  }
  const compute::Package package = compute::make_package(plan(context, options));
  base::write_output_file(options.file, package.bytes.text());
  Context::print(fmt::format("{}  {}\n", package.sha256, options.file));
  return 0;
}

}  // namespace

Command package_command(Context& context) {
  auto options = std::make_shared<PackageOptions>();
  const Option library{.name = "--library",
                       .metavar = "TEXT",
                       .kind = ValueKind::file,
                       .help = "Name or path of a shared library that the flow loads itself (dlopen). May be repeated.",
                       .environment = "METAFLOW_PACKAGE_LIBRARIES",
                       .multiple = true,
                       .set = append_text(options->libraries)};
  Command group{.name = "package", .help = "List or save the package that is sent to other hosts."};
  group.commands = {
      {.name = "list",
       .help = "List the files in the package.",
       .options = {library, {.name = "--json", .help = "Print the list as JSON.", .set = store_flag(options->json)}},
       .run = [&context, options] { return list(context, *options); }},
      {.name = "save",
       .help = "Write the package to a file; print its SHA-256.",
       .options = {library,
                   {.name = "--code",
                    .help = "Write instead the small archive that Metaflow's Python client shows as Task.code.",
                    .set = store_flag(options->code)}},
       .arguments = {{.name = "FILE", .kind = ValueKind::file, .set = store_file("FILE", options->file)}},
       .run = [&context, options] { return save(context, *options); }}};
  return group;
}

}  // namespace metaflow::cli
