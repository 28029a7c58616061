#include "cli/context.h"

#include <unistd.h>

#include <tuple>

#include <metaflow/error.h>
#include <metaflow/version.h>

#include "base/background_writer.h"
#include "base/files.h"
#include "base/format.h"
#include "base/text.h"
#include "base/utf8.h"
#include "graph/project.h"
#include "store/open.h"

namespace metaflow::cli {

Context::Context(const Program& program_of_flow, const compute::Platforms& known_platforms, std::string called_as)
    : flow(program_of_flow.flow),
      language(program_of_flow.language),
      is_one_of_several(program_of_flow.is_one_of_several),
      launcher(program_of_flow.launcher),
      platforms(known_platforms),
      program(std::move(called_as)) {}

std::string Context::command() const {
  const std::string start = (launcher.empty() ? "" : launcher + " ") + base::shell_quoted(program);
  return is_one_of_several ? start + " " + flow.name : start;
}

std::string Context::usage_name() const { return is_one_of_several ? file_name() + " " + flow.name : file_name(); }

void Context::print(std::string_view text) { base::write_all(STDOUT_FILENO, base::visible_lines(text)); }

void Context::echo_always(std::string_view text) {
  try {
    base::write_all(STDERR_FILENO, base::visible_lines(text));
  } catch (const Error&) {  // standard error is closed
  }
}

void Context::echo_last(std::string_view text, std::int64_t patience) {
  base::write_with_timeout(STDERR_FILENO, base::visible_lines(text), patience);
}

void Context::echo(std::string_view text) const {
  if (!top.quiet) echo_always(text);
}

const std::string& Context::user() {
  if (!user_) user_ = base::user_name(settings);
  return *user_;
}

std::string Context::project_branch() {
  return flow.project.empty() ? "" : graph::project_branch(top.branch, top.production, user());
}

void Context::begin() {
  // The parser has checked the options. The settings may be meant for flows in Python, so they are checked here.
  for (const auto& [option, setting, value, other] :
       {std::tuple("--metadata", "DEFAULT_METADATA", &top.metadata, "service"),
        std::tuple("--datastore", "DEFAULT_DATASTORE", &top.datastore, "s3")}) {
    if (*value == "local" || *value == other) continue;
    throw Error(ErrorCode::invalid_command, fmt::format("METAFLOW_{} is '{}', which is not supported", setting, *value),
                fmt::format("Pass {0} local or {0} {1}, or set METAFLOW_{2} to one of them.", option, other, setting));
  }
  echo(fmt::format("Metaflow {} executing {} for user:{}\n", kVersionText, flow.name, user()));
  for (const std::string& note : settings.notes()) echo(note + "\n");
  if (!top.without_effect.empty()) {
    const std::vector<std::string> names(top.without_effect.begin(), top.without_effect.end());
    echo(fmt::format("Ignored, since they have no effect on flows in {}: {}\n", language.name(),
                     base::join(names, ", ")));
  }
  if (!flow.project.empty()) echo(fmt::format("Project: {}, Branch: {}\n", flow.project, project_branch()));
}

std::vector<std::string> Context::all_with(const std::vector<std::string>& more) {
  std::vector<std::string> specs = more;
  const std::string defaults = settings.get("DEFAULT_DECOSPECS", "");
  for (const std::string& spec : base::split(defaults, ' ')) {
    if (!spec.empty()) specs.push_back(spec);
  }
  specs.insert(specs.end(), top.with.begin(), top.with.end());
  return specs;
}

graph::Graph Context::make_graph(const std::vector<std::string>& more) {
  graph::Graph graph(flow, platforms.decorators());
  for (const std::string& spec : all_with(more)) graph.attach(platforms.decorators().parse(spec));
  runtime::check_catch(graph, language);
  return graph;
}

compute::RunSite Context::run_site() {
  return {.settings = settings,
          .clock = clock,
          .flow = flow.name,
          .program = program,
          .user = user(),
          .datastore = top.datastore,
          .image = language.image(),
          .read_code = [this] { return language.code(package_suffixes()); }};
}

std::vector<std::string> Context::package_suffixes() {
  std::vector<std::string> suffixes =
      base::split(settings.get("DEFAULT_PACKAGE_SUFFIXES", base::join(language.source_suffixes(), ",")) + "," +
                      top.package_suffixes,
                  ',');
  std::erase(suffixes, "");
  return suffixes;
}

const std::string& Context::local_root(bool for_writing) {
  if (!local_root_) {
    bool is_new = false;
    if (top.datastore_root.empty() || top.datastore != "local") {
      local_root_ = base::local_root(settings, is_new);
    } else {
      local_root_ = base::absolute_path(top.datastore_root);
    }
    const std::size_t odd = local_root_->find_first_of("[]*?");
    if (odd != std::string::npos) {
      throw Error(
          ErrorCode::invalid_command,
          fmt::format("The datastore root '{}' contains '{}', which Metaflow's Python client treats as a pattern",
                      *local_root_, (*local_root_)[odd]),
          "Work in a directory with a plain name, or set METAFLOW_DATASTORE_SYSROOT_LOCAL to one.");
    }
    if (base::find_invalid_utf8(*local_root_) != std::string::npos) {
      throw Error(ErrorCode::invalid_command,
                  fmt::format("The datastore root '{}' is not UTF-8, which the store's JSON files require",
                              base::replace_invalid_utf8(*local_root_)),
                  "Work in a directory with a plain name, or set METAFLOW_DATASTORE_SYSROOT_LOCAL to one.");
    }
    if (is_new && for_writing) {
      base::make_directories(*local_root_);
      echo(settings.get("DATASTORE_SYSROOT_LOCAL")
               ? fmt::format("Creating local datastore ({})\n", *local_root_)
               : fmt::format("Creating local datastore in current directory ({})\n", *local_root_));
    }
  }
  return *local_root_;
}

std::string Context::datastore_root(bool for_writing) {
  const std::string& local = local_root(for_writing);  // also with S3, for the metadata
  if (top.datastore == "local") return local;
  const std::string root = top.datastore_root.empty() ? settings.get("DATASTORE_SYSROOT_S3", "") : top.datastore_root;
  if (root.empty()) {
    throw Error(
        ErrorCode::invalid_command, "No datastore root in S3 is set",
        "Set METAFLOW_DATASTORE_SYSROOT_S3 to s3://bucket/prefix, or pass --datastore-root s3://bucket/prefix.");
  }
  return root;
}

store::FlowStore& Context::store(bool for_writing) {
  if (!store_)
    store_ =
        std::make_unique<store::FlowStore>(store::open_storage(top.datastore, datastore_root(for_writing)), flow.name);
  return *store_;
}

store::MetadataReader& Context::metadata() {
  if (!metadata_) metadata_ = store::open_metadata(settings, top.metadata, local_root(), clock);
  return *metadata_;
}

store::TagEditor& Context::tag_editor() {
  metadata();
  return *metadata_;
}

std::string Context::root_hint() {
  constexpr std::string_view kName = "/.metaflow";
  const std::string& root = local_root();
  if (top.datastore != "local" || uses_service()) return {};
  if (!top.datastore_root.empty() && base::exists(root + "/.metaflow"))
    return fmt::format("--datastore-root must be the directory .metaflow itself: --datastore-root {}/.metaflow", root);
  const bool twice = root.ends_with("/.metaflow/.metaflow") && !base::exists(root);
  if (top.datastore_root.empty() && twice) {
    return fmt::format("METAFLOW_DATASTORE_SYSROOT_LOCAL must be the directory that contains .metaflow: set it to {}",
                       root.substr(0, root.size() - 2 * kName.size()));
  }
  return {};
}

Error Context::no_run(const std::string& run, const std::string& root) {
  const std::string hint = root_hint();
  return {ErrorCode::not_found, fmt::format("No run {}/{} found in {}", flow.name, run, root),
          hint.empty() ? fmt::format("To list the runs: {} runs", command()) : hint};
}

std::string error_block(const std::string& headline, const std::string& message) {
  std::string text = fmt::format("    {}:\n", headline);
  for (const std::string& line : base::split(message, '\n')) text += line.empty() ? "\n" : "    " + line + "\n";
  return text + "\n";
}

}  // namespace metaflow::cli
