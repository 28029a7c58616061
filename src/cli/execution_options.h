// The options of commands that execute the flow: run and resume.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "cli/command_line.h"

namespace metaflow::cli {

struct ExecutionOptions {
  std::size_t max_workers = 16;
  bool default_workers = true;  // the user has not set max_workers
  std::size_t max_num_splits = 100;
  std::size_t max_log_size = 10;  // MB per task and stream
  std::vector<std::string> tags;
  std::vector<std::string> with;
  std::optional<std::string> name_space;
  std::string run_id_file;
  std::string runner_attribute_file;
  bool json = false;
  bool no_progress = false;
};

/// `command` is a part of the environment variables' names: RUN in METAFLOW_RUN_MAX_WORKERS.
void append_execution_options(std::vector<Option>& list, ExecutionOptions& options, const std::string& command);

}  // namespace metaflow::cli
