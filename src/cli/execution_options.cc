#include "cli/execution_options.h"

namespace metaflow::cli {

void append_execution_options(std::vector<Option>& list, ExecutionOptions& options, const std::string& command) {
  const std::string prefix = "METAFLOW_" + command + "_";
  const std::vector<Option> own{
      {.name = "--tag",
       .metavar = "TEXT",
       .help = "Annotate this run with the given tag. You can specify this option multiple times to attach multiple "
               "tags in the run.",
       .environment = prefix + "TAGS",
       .multiple = true,
       .set = append_text(options.tags)},
      {.name = "--max-workers",
       .metavar = "INTEGER",
       .help = "Maximum number of parallel processes.",
       .shown_default = "16",
       .environment = prefix + "MAX_WORKERS",
       .set =
           [&options, store = store_number("--max-workers", options.max_workers, 1)](const std::string& value) {
             store(value);
             options.default_workers = false;
           }},
      {.name = "--max-num-splits",
       .metavar = "INTEGER",
       .help = "Maximum number of splits allowed in a foreach. This is a safety check preventing bugs from triggering "
               "thousands of steps inadvertently.",
       .shown_default = "100",
       .environment = prefix + "MAX_NUM_SPLITS",
       .set = store_number("--max-num-splits", options.max_num_splits, 1)},
      {.name = "--max-log-size",
       .metavar = "INTEGER",
       .help = "Maximum size of stdout and stderr captured in megabytes. If a step outputs more than this to "
               "stdout/stderr, its output will be truncated.",
       .shown_default = "10",
       .environment = prefix + "MAX_LOG_SIZE",
       .set = store_number("--max-log-size", options.max_log_size, 0)},
      {.name = "--with",
       .metavar = "TEXT",
       .help = "Add a decorator to all steps. You can specify this option multiple times to attach multiple decorators "
               "in steps.",
       .environment = prefix + "DECOSPECS",
       .multiple = true,
       .set = append_text(options.with)},
      {.name = "--run-id-file",
       .metavar = "TEXT",
       .help = "Write the ID of this run to the file specified.",
       .environment = prefix + "RUN_ID_FILE",
       .set = store_file("--run-id-file", options.run_id_file)},
      {.name = "--runner-attribute-file",
       .metavar = "TEXT",
       .help = "Write the metadata and pathspec of this run to the file specified. Used internally for Metaflow's "
               "Runner API.",
       .environment = prefix + "RUNNER_ATTRIBUTE_FILE",
       .set = store_file("--runner-attribute-file", options.runner_attribute_file)},
      {.name = "--namespace",
       .metavar = "TEXT",
       .help = "Change namespace from the default (your username) to the specified tag.",
       .environment = prefix + "USER_NAMESPACE",
       .set = [&options](const std::string& value) { options.name_space = value; }},
      {.name = "--quiet",
       .help = "Print only the output of tasks and failures, not when tasks start and finish.",
       .set = store_flag(options.quiet)},
      {.name = "--json", .help = "Print events as JSON, one object per line.", .set = store_flag(options.json)},
  };
  list.insert(list.end(), own.begin(), own.end());
}

}  // namespace metaflow::cli
