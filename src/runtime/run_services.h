// The options of a run, and the services it needs: shared by all of its parts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "graph/graph.h"
#include "runtime/reporter.h"
#include "store/flow_store.h"
#include "store/journal.h"
#include "store/metadata.h"

namespace metaflow::runtime {

struct RunOptions {
  std::size_t max_workers = 16;  // tasks at a time
  std::uint64_t max_num_splits = 100;
  std::uint64_t max_log_size = 10;  // MB per task and stream
  std::vector<std::string> tags;
  std::string name_space;         // of the client inside tasks
  std::string branch;             // of the flow's project; empty: it has none
  std::vector<std::string> with;  // --with, for the tasks: without secrets
  std::string origin_run;         // of resume
  bool origin_is_known = true;    // to the metadata provider: clones may refer to it
  std::string flow;               // in a program with several flows: the flow's name
  std::string command;            // that the user started, quoted for a shell, for hints
  std::string local_root;         // the .metaflow directory of this machine
};

/// The services of a run. All of them outlive it.
struct RunServices {
  const graph::Graph& graph;
  store::FlowStore& store;
  store::BackgroundStorage& background;  // of the same storage
  store::MetadataWriter& metadata;
  store::Journal& journal;
  base::EventLoop& loop;
  base::Clock& clock;
  Reporter& reporter;
  /// Starts to write the file system's cache of this machine's files to the disk, and calls `done` when that has
  /// finished: from the loop, or before it returns.
  std::function<void(std::function<void()> done)> sync_disk;
  /// Whether this scheduler holds the run now. Nothing is committed otherwise.
  std::function<bool()> holds = [] { return true; };
};

}  // namespace metaflow::runtime
