// What `kubernetes list|kill` and `batch list|kill` have in common.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "cli/command_line.h"
#include "cli/context.h"

namespace metaflow::cli {

/// Which runs' jobs; empty: all.
struct ChosenRuns {
  std::string flow{};
  std::string run{};
  std::string user{};
};

/// What `list` tells of a job that has not ended; empty: not known, or not there yet.
struct ListedJob {
  std::string run{};
  std::string step{};
  std::string task{};
  std::string attempt{};
  std::string user{};
  std::string job{};
  std::string pod{};
  std::string since{};   // "2026-11-23T04:16:21Z"
  std::string status{};  // the platform's word
  std::string reason{};
};

struct JobCommands {
  std::string name;       // "kubernetes"
  std::string platform;   // "Kubernetes"
  std::string things;     // "Kubernetes pods"
  std::string beginning;  // what happened to a job at `since`: "Started"
  std::function<std::vector<ListedJob>(const ChosenRuns&)> list;
  std::function<std::size_t(const ChosenRuns&)> kill;  // how many; says which
};

/// The group of commands, with the reference's options.
Command job_commands(Context& context, JobCommands commands);

}  // namespace metaflow::cli
