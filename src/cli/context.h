// The state that all commands share: the flow, the top-level options, the store.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <metaflow/detail/description.h>
#include <metaflow/error.h>

#include "base/clock.h"
#include "base/settings.h"
#include "cli/main.h"
#include "compute/platform.h"
#include "graph/graph.h"
#include "runtime/language.h"
#include "store/flow_store.h"
#include "store/metadata.h"

namespace metaflow::cli {

/// The options before the command.
struct TopOptions {
  bool quiet = false;
  std::string metadata = "local";
  std::string datastore = "local";
  std::string datastore_root;
  std::vector<std::string> with;
  std::string branch;                    // of a flow with a project
  bool production = false;               // of a flow with a project
  std::string package_suffixes;          // of a flow in Python: ".csv,.txt"
  std::set<std::string> without_effect;  // accepted options that only the reference uses
};

class Context {
 public:
  /// The references outlive this.
  Context(const Program& program_of_flow, const compute::Platforms& platforms, std::string program);

  const detail::FlowDescription& flow;
  const runtime::Language& language;
  const bool is_one_of_several;  // flows of the program
  const std::string launcher;    // Program::launcher
  const compute::Platforms& platforms;
  const std::string program;  // argv[0]
  /// The word after the program that names the flow; empty if the program has one flow.
  std::string flow_word() const { return is_one_of_several ? flow.name : ""; }
  /// The program, quoted for a shell, and the flow's word, for commands that users paste.
  std::string command() const;
  /// The same for usage lines: like click's, without the directory of the program.
  std::string usage_name() const;
  std::string file_name() const { return program.substr(program.rfind('/') + 1); }
  base::Settings settings;
  base::SystemClock clock;
  TopOptions top;

  /// Checks the top-level options and prints the banner.
  void begin();

  const std::string& user();
  /// The branch of the project for new runs: "user.me"; empty for a flow without a project. Throws
  /// Error{invalid_command}.
  std::string project_branch();
  /// The graph with the decorators of --with (`more`: those of the command) and of METAFLOW_DEFAULT_DECOSPECS.
  graph::Graph make_graph(const std::vector<std::string>& more = {});
  compute::RunSite run_site();
  /// Those of Metaflow, and of --package-suffixes.
  std::vector<std::string> package_suffixes();
  /// All decorators of --with, those with the highest precedence first.
  std::vector<std::string> all_with(const std::vector<std::string>& more);

  /// Where the objects of runs are: the local .metaflow directory, or s3://bucket/prefix.
  std::string datastore_root(bool for_writing = false);
  /// The local .metaflow directory, which holds the metadata also if the objects are in S3. `for_writing`: a missing
  /// one is created, with a message.
  const std::string& local_root(bool for_writing = false);
  /// A hint for a run that is not found: why the datastore root may be wrong. May be empty.
  std::string root_hint();
  /// The error for a run that `root` does not have.
  Error no_run(const std::string& run, const std::string& root);
  store::FlowStore& store(bool for_writing = false);
  /// The metadata provider that --metadata names.
  store::MetadataReader& metadata();
  store::TagEditor& tag_editor();
  bool uses_service() const { return top.metadata == "service"; }

  // Everything that commands print goes through one of these. They escape control characters (base::visible_lines).

  /// To the standard output, JSON included. Throws like base::write_all.
  static void print(std::string_view text);
  /// To the standard error stream, unless --quiet.
  void echo(std::string_view text) const;
  /// To the standard error stream, also with --quiet.
  static void echo_always(std::string_view text);
  /// Like echo_always, for the last message of a process: waits at most `patience` microseconds for a reader that does
  /// not read (base/background_writer.h).
  static void echo_last(std::string_view text, std::int64_t patience);

 private:
  std::optional<std::string> user_;
  std::optional<std::string> local_root_;
  std::unique_ptr<store::FlowStore> store_;
  std::unique_ptr<store::Metadata> metadata_;
};

/// Metaflow's error block: the headline ("Invalid command:") and the message, indented.
std::string error_block(const std::string& headline, const std::string& message);

}  // namespace metaflow::cli
