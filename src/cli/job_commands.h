// What `kubernetes list|kill` and `batch list|kill` have in common.
#pragma once

#include <functional>
#include <string>

#include "cli/command_line.h"
#include "cli/context.h"

namespace metaflow::cli {

/// Which runs' jobs; empty: all.
struct ChosenRuns {
  std::string flow{};
  std::string run{};
  std::string user{};
};

struct JobCommands {
  std::string name;      // "kubernetes"
  std::string platform;  // "Kubernetes"
  std::function<int(const ChosenRuns&)> list;
  std::function<int(const ChosenRuns&)> kill;
};

/// The group of commands, with the reference's options.
Command job_commands(Context& context, JobCommands commands);

}  // namespace metaflow::cli
