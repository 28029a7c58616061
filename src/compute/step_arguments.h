// The command line of `step`, by which a task is executed wherever it is: here, or as a job elsewhere.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/task_data.h"

namespace metaflow::compute {

struct StepArguments {
  std::string datastore = "local";
  std::string datastore_root;
  std::vector<std::string> with;  // decorators

  std::string step;
  std::string run;
  std::string task;
  std::vector<store::TaskRef> inputs;
  bool inputs_stored = false;  // too many for a command line: FlowStore::read_inputs has them
  std::string split;           // the task that split, for a join: "17/start/1"
  std::optional<std::size_t> split_index;
  int retry_count = 0;
  int max_user_code_retries = 0;
  // Of an attempt that comes after these: what the last one failed of, which is all there is to do.
  std::string failure_type;
  std::string failure;
  std::string scratch;  // a directory for all that the task writes, which then is no part of the run; for `debug`
  std::string name_space;
  std::string branch;  // of the flow's project: "user.me"; empty: it has none
  std::string origin_run_id;
  std::vector<std::string> tags;
};

/// The signal by which an attempt ends itself when its time is up. One of those that nobody uses.
int timeout_signal();

/// The arguments behind the program's name. Throws Error{usage}.
std::vector<std::string> to_command_line(const StepArguments& arguments);

/// Reads what to_command_line made. Throws Error{usage}.
StepArguments parse_step_arguments(int argc, char** argv);

/// Input tasks as one text: "17/a/1,17/b/2"; with a common prefix "17/work/:1,2,3".
std::string pack_inputs(const std::vector<store::TaskRef>& inputs);
std::vector<store::TaskRef> unpack_inputs(std::string_view text);

}  // namespace metaflow::compute
