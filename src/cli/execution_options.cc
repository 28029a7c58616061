#include "cli/execution_options.h"

namespace metaflow::cli {

void append_execution_options(std::vector<Option>& list, ExecutionOptions& options, const std::string& command) {
  const std::string prefix = "METAFLOW_" + command + "_";
  const std::vector<Option> own{
      {.name = "--tag",
       .metavar = "TEXT",
       .help = "Add a tag to the run. May be repeated.",
       .environment = prefix + "TAGS",
       .multiple = true,
       .set = append_text(options.tags)},
      {.name = "--max-workers",
       .metavar = "INTEGER",
       .help = "The largest number of tasks at the same time.",
       .shown_default = "16",
       .environment = prefix + "MAX_WORKERS",
       .set =
           [&options, store = store_number("--max-workers", options.max_workers, 1)](const std::string& value) {
             store(value);
             options.default_workers = false;
           }},
      {.name = "--max-num-splits",
       .metavar = "INTEGER",
       .help = "The largest number of items of a foreach. It protects from starting thousands of tasks by mistake.",
       .shown_default = "100",
       .environment = prefix + "MAX_NUM_SPLITS",
       .set = store_number("--max-num-splits", options.max_num_splits, 1)},
      {.name = "--max-log-size",
       .metavar = "INTEGER",
       .help = "The largest stored size of the output of a task, in megabytes per stream. The rest is not stored.",
       .shown_default = "10",
       .environment = prefix + "MAX_LOG_SIZE",
       .set = store_number("--max-log-size", options.max_log_size, 0)},
      {.name = "--with",
       .metavar = "TEXT",
       .kind = ValueKind::decorator,
       .help = "Add a decorator to all steps that do not have it: NAME or NAME:ATTRIBUTE=VALUE,... May be repeated.",
       .environment = prefix + "DECOSPECS",
       .multiple = true,
       .set = append_text(options.with)},
      {.name = "--run-id-file",
       .metavar = "TEXT",
       .kind = ValueKind::file,
       .help = "Write the id of the run to this file, before its first task starts.",
       .environment = prefix + "RUN_ID_FILE",
       .set = store_file("--run-id-file", options.run_id_file)},
      {.name = "--runner-attribute-file",
       .metavar = "TEXT",
       .kind = ValueKind::file,
       .help =
           "Write the id, flow and metadata provider of the run to this file, as JSON, for programs that start runs.",
       .environment = prefix + "RUNNER_ATTRIBUTE_FILE",
       .set = store_file("--runner-attribute-file", options.runner_attribute_file)},
      {.name = "--namespace",
       .metavar = "TEXT",
       .help = "The namespace of the run's tasks for the client. Default: user: and your name.",
       .environment = prefix + "USER_NAMESPACE",
       .set = [&options](const std::string& value) { options.name_space = value; }},
      {.name = "--no-progress",
       .help = "Print only the output of tasks and failures, not when tasks start and finish.",
       .set = store_flag(options.no_progress)},
      {.name = "--json", .help = "Print events as JSON, one object per line.", .set = store_flag(options.json)},
  };
  list.insert(list.end(), own.begin(), own.end());
}

}  // namespace metaflow::cli
