// The removal of runs by `rm` and `gc`.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cli/command_line.h"
#include "cli/context.h"
#include "runtime/cleaning/run_remover.h"

namespace metaflow::cli {

struct RemovalOptions {
  bool dry_run = false;
  bool yes = false;    // do not ask on a terminal
  bool force = false;  // also runs of Python that may be running
  std::int64_t grace = runtime::CleaningTimes::kGrace;
};

/// One removal, from its plan to its report.
class Removal {
 public:
  Removal(Context& context, const RemovalOptions& options);

  /// Adds a run to those that are removed. Returns why that is not possible; empty: it is.
  std::string add(const std::string& run);
  /// Takes those runs back that a remaining run resumes, and returns them: "18, which resumes it". `known`: all runs.
  struct Kept {
    std::string run;
    std::string resumed_by;
  };
  std::vector<Kept> keep_origins(const std::vector<std::string>& known);

  /// The time by the clock of the storage; of a dry run, by that of this host.
  std::int64_t now() const { return now_; }
  bool empty() const { return runs_.empty(); }
  /// Asks on a terminal. Throws Error{interrupted} if the answer is not yes.
  void confirm();
  /// Removes the runs and prints it.
  void remove_runs();
  /// Removes blobs without reference, leftovers of processes, and the rest of half-removed runs, and prints it.
  void remove_blobs();

 private:
  struct Planned {
    std::string run;
    std::uint64_t bytes = 0;
    std::string other_user{};  // who executed it; empty: this user, or unknown
  };
  std::string other_user(const std::string& run);

  Context& context_;
  RemovalOptions options_;
  runtime::RunRemover remover_;
  std::int64_t now_;  // by the clock of the storage
  std::vector<Planned> runs_;
};

/// Converter for Option::set: "30d", "12h", "2w" in microseconds.
std::function<void(const std::string&)> store_age(const std::string& option, std::int64_t& target, std::int64_t least);

/// --dry-run, --yes, --grace.
void append_removal_options(std::vector<Option>& list, RemovalOptions& options);

}  // namespace metaflow::cli
