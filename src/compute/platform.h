// Where the steps of a run can be executed. A platform is a folder, src/compute/<name>/, with one file that describes
// it; the table that names them all is platforms.cc. What to write for another one: docs/platforms.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/settings.h"
#include "compute/backend.h"
#include "graph/decorators.h"
#include "store/flow_store.h"

namespace metaflow::compute {

struct StoredPackage;
class RunJobs;

/// The user's side of a run: what platforms go by. The references outlive it.
struct RunSite {
  const base::Settings& settings;
  base::Clock& clock;
  std::string flow{};
  std::string program{};    // as it was called, for hints
  std::string user{};       // who runs it
  std::string datastore{};  // "local", "s3"

  std::string file_name() const { return program.substr(program.rfind('/') + 1); }
};

/// A step, as far as platforms look at it.
struct PlannedStep {
  std::string name{};
  const std::vector<graph::Decorator>* decorators = nullptr;
};

/// What the steps of a run need on a platform.
struct Needs {
  /// How the flow gets to where it is executed.
  enum class Program : std::uint8_t {
    here,     // it is there: on this machine, or in an image
    by_link,  // as a package in the store, which a link fetches
    in_store  // as a package in the store, which is read where the store is mounted
  };
  Program program = Program::here;
  /// A store that machines elsewhere reach: not a directory of this one.
  bool shared_store = false;
};

/// What a backend is made of. The references outlive it.
struct BackendSite {
  base::EventLoop& loop;
  base::Clock& clock;
  BackendEvents& events;
  store::FlowStore& store;
  /// Another instance of the store, for a thread, which may outlive this: it owns what it uses.
  std::function<std::unique_ptr<store::FlowStore>()> open_store{};
  std::string run{};
  std::uint64_t max_log_size = 10;              // MB per stream
  const StoredPackage* package = nullptr;       // if one was needed
  std::vector<std::string> command{};           // that starts the flow on this machine
  std::vector<std::string> task_environment{};  // of every task here
};

/// The steps of a run that one platform executes. Not thread-safe.
class PlatformPlan {
 public:
  virtual ~PlatformPlan() = default;
  virtual Needs needs() const = 0;
  /// Asks the platform, and waits for its answers: what cannot work is refused before anything starts. Throws
  /// Error{platform}.
  virtual void prepare() {}
  /// Called once, after the package was stored. Throws Error.
  virtual std::unique_ptr<Backend> make_backend(const BackendSite& site) = 0;
};

/// Immutable.
class Platform {
 public:
  virtual ~Platform() = default;

  /// Of its decorator and its commands: "kubernetes".
  virtual std::string name() const = 0;
  /// For people: "Kubernetes". Its errors begin with "Kubernetes error".
  virtual std::string title() const = 0;
  /// What an attempt is there, for people: "pod".
  virtual std::string unit() const = 0;
  virtual const graph::DecoratorKind& decorator() const = 0;
  /// Of steps that have its decorator. Throws Error{platform, invalid_command}, naming the step, for what cannot be
  /// asked for. `site` outlives the plan.
  virtual std::unique_ptr<PlatformPlan> plan(const RunSite& site, const std::vector<PlannedStep>& steps) const = 0;

  /// What the places of jobs are called, which a run notes (remote/run_jobs.h): "namespaces". Empty: no job outlives
  /// its scheduler.
  virtual std::string job_places() const { return {}; }
  /// The jobs that runs have there, for commands that wait. `places`: where those of one run are; empty: where the
  /// settings say. `site` and `store` outlive it.
  virtual std::unique_ptr<RunJobs> run_jobs(const RunSite& site, store::FlowStore& store,
                                            const std::set<std::string>& places) const;
  /// The number of this process among those of an array of jobs, from 0; nothing if the platform does not say.
  virtual std::optional<std::uint64_t> place_in_array() const { return std::nullopt; }
};

/// The platforms of a program, and the decorators that come with them. Immutable.
class Platforms {
 public:
  /// The first executes what no other one was asked for.
  explicit Platforms(std::vector<const Platform*> all);

  const std::vector<const Platform*>& all() const { return all_; }
  const Platform& fallback() const { return *all_.front(); }
  const graph::DecoratorTable& decorators() const { return decorators_; }
  /// The platform of a step with these decorators: one that it names, or the fallback. Throws Error{invalid_flow} for a
  /// step that names two.
  const Platform& of_step(const std::string& step, const std::vector<graph::Decorator>& decorators) const;

 private:
  std::vector<const Platform*> all_;
  graph::DecoratorTable decorators_;
};

/// Those that this library has: the table.
const Platforms& platforms();

}  // namespace metaflow::compute
