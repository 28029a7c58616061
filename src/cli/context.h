// What the commands share: the flow, the top-level options, the store.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <metaflow/detail/description.h>

#include "base/clock.h"
#include "base/settings.h"
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
  std::set<std::string> without_effect;  // options of Metaflow for Python that were given
};

class Context {
 public:
  /// The references outlive this.
  Context(const detail::FlowDescription& flow, const runtime::Language& language, const compute::Platforms& platforms,
          std::string program);

  const detail::FlowDescription& flow;
  const runtime::Language& language;
  const compute::Platforms& platforms;
  const std::string program;  // as it was called
  /// The same as a word for a shell: for commands to paste.
  std::string command() const;
  std::string file_name() const { return program.substr(program.rfind('/') + 1); }
  base::Settings settings;
  base::SystemClock clock;
  TopOptions top;

  /// After the top-level options are known: checks them, prints the banner.
  void begin();

  const std::string& user();
  /// The branch of the project that runs of now belong to: "user.me"; empty for a flow without a project. Throws
  /// Error{invalid_command}.
  std::string project_branch();
  /// The graph with the decorators of --with (`more`: those of the command) and of METAFLOW_DEFAULT_DECOSPECS.
  graph::Graph make_graph(const std::vector<std::string>& more = {});
  /// For platforms.
  compute::RunSite run_site();
  /// All --with in the order in which they count.
  std::vector<std::string> all_with(const std::vector<std::string>& more);

  /// Where the objects of runs are: the local .metaflow directory, or s3://bucket/prefix.
  std::string datastore_root(bool for_writing = false);
  /// The local .metaflow directory, which has the metadata wherever the objects are. `for_writing`: says so when it
  /// will be made.
  const std::string& local_root(bool for_writing = false);
  /// For a run that is not found: what may be wrong with where it was looked for; empty if nothing is known.
  std::string root_hint();
  store::FlowStore& store(bool for_writing = false);
  /// What is known of runs, as --metadata says.
  store::MetadataReader& metadata();
  store::TagEditor& tag_editor();
  bool uses_service() const { return top.metadata == "service"; }

  // Everything that commands print goes through one of these: what a terminal would obey in it is made visible.

  /// To the standard output; also JSON. Throws as base::write_all.
  static void print(std::string_view text);
  /// To the standard error stream, unless --quiet.
  void echo(std::string_view text) const;
  /// To the standard error stream, also with --quiet.
  static void echo_always(std::string_view text);
  /// The same at the end of a process: waits at most `patience` microseconds for a reader that reads nothing
  /// (base/background_writer.h).
  static void echo_last(std::string_view text, std::int64_t patience);

 private:
  std::optional<std::string> user_;
  std::optional<std::string> local_root_;
  std::unique_ptr<store::FlowStore> store_;
  std::unique_ptr<store::Metadata> metadata_;
};

/// "Invalid command:" and the message, indented: Metaflow's error block.
std::string error_block(const std::string& headline, const std::string& message);

}  // namespace metaflow::cli
