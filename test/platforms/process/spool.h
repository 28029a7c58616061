// The spool: a directory by which the clients that submit jobs and the runner that executes them communicate.
//
//   NAME.order          a job, or an array of jobs: what is to be executed
//   ID.state            what a job is at; ID is NAME, or NAME:0, NAME:1, ... of an array
//   ID.remove           the job is to end
//   ID.log              what it wrote
//   runner              locked while a runner is there
//
// Files are created atomically, so that both sides can read them as soon as they see them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/event_loop.h"
#include "base/files.h"

namespace metaflow::process_platform {

/// A job, or an array of jobs that differ in their number alone.
struct SpooledJob {
  std::string name{};
  std::string flow{};
  std::string run{};
  std::string run_key{};
  std::string step{};
  std::string task{};  // of an array: packed numbers (compute/remote/step_array.h)
  int attempt = 0;
  std::string user{};
  std::vector<std::string> command{};
  std::vector<std::string> environment{};  // NAME=value
  std::size_t size = 1;                    // jobs
  int slots = 0;                           // jobs of the step at a time; 0: all
  std::int64_t limit = 0;                  // microseconds that each may run; 0: as long as it likes

  bool is_array() const { return size > 1; }
  /// "NAME", "NAME:7"
  std::string id(std::size_t place) const { return is_array() ? name + ":" + std::to_string(place) : name; }
};

/// What a job is at.
struct SpooledState {
  enum class Phase : std::uint8_t { waiting, running, ended };
  enum class EndedBy : std::uint8_t { itself, deadline, removal, loss };
  Phase phase = Phase::waiting;
  std::string since{};   // "2026-11-23T04:16:21Z"
  std::string reason{};  // of one that waits: for what
  bool ran = false;
  int status = -1;  // its exit status, 128 and the number of a signal that killed it
  EndedBy by = EndedBy::itself;
};

/// Throws Error{data_store}. Not thread-safe.
class Spool {
 public:
  explicit Spool(std::string directory) : directory_(std::move(directory)) {}

  const std::string& directory() const { return directory_; }
  std::string path(const std::string& file) const { return directory_ + "/" + file; }

  void write(const SpooledJob& job) const;
  void write(const std::string& id, const SpooledState& state) const;
  void ask_to_remove(const std::string& id) const;
  /// Nothing: there is none, or it is damaged.
  std::optional<SpooledJob> job(const std::string& name) const;
  std::optional<SpooledState> state(const std::string& id) const;
  std::vector<SpooledJob> jobs() const;
  /// Removes all that there is of a job.
  void erase(const SpooledJob& job) const;
  /// Whether a runner is there.
  bool has_runner() const;

 private:
  std::string directory_;
};

/// The name of a file without its ending; nothing if that is another one.
std::optional<std::string> without_ending(std::string_view file, std::string_view ending);

/// Tells of files that come into the spool. Driven by the loop, which outlives it; not thread-safe.
class SpoolWatch {
 public:
  SpoolWatch(base::EventLoop& loop, const std::string& directory, std::function<void(const std::string& file)> came);
  ~SpoolWatch();
  SpoolWatch(const SpoolWatch&) = delete;
  SpoolWatch& operator=(const SpoolWatch&) = delete;

 private:
  void on_readable();

  base::EventLoop& loop_;
  std::string directory_;
  std::function<void(const std::string& file)> came_;
  base::Fd inotify_;
};

}  // namespace metaflow::process_platform
