// The command line of `step`, which executes a task, on this host or as a job elsewhere.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/task_data.h"

namespace metaflow::compute {

struct StepArguments {
  std::string flow;  // of a program with several flows; empty: the program has one
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
  // Of an attempt after the last retry: the failure, which it only has to record.
  std::string failure_type;
  std::string failure;
  std::string scratch;  // a directory for everything that the task writes, outside the run; for `debug`
  std::string name_space;
  std::string branch;  // of the flow's project: "user.me"; empty: it has none
  std::string origin_run_id;
  std::vector<std::string> tags;
};

/// The signal by which an attempt ends itself when it times out: one that is not used otherwise.
int timeout_signal();

/// Returns the arguments after the program's name. Throws Error{usage}.
std::vector<std::string> to_command_line(const StepArguments& arguments);

/// Parses the arguments that to_command_line made. Throws Error{usage}.
StepArguments parse_step_arguments(int argc, char** argv);

/// Packs input tasks into one text: "17/a/1,17/b/2"; with a common prefix "17/work/:1,2,3".
std::string pack_inputs(const std::vector<store::TaskRef>& inputs);
std::vector<store::TaskRef> unpack_inputs(std::string_view text);

}  // namespace metaflow::compute
