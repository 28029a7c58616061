// Platforms execute the steps of a run. A platform is a folder, src/compute/<name>/, with one file that describes it;
// platforms.cc lists them all. How to add one: docs/platforms.md.
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

struct FlowCode;
struct StoredPackage;
class RunJobs;

/// The user's side of a run. The references outlive it.
struct RunSite {
  const base::Settings& settings;
  base::Clock& clock;
  std::string flow{};
  std::string program{};    // as the user called it, for hints
  std::string user{};       // who runs it
  std::string datastore{};  // "local", "s3"
  std::string image{};      // of Docker Hub's own, which the language of the flow needs: "python:3.11-slim"
  /// The flow's code, if it is not in this program.
  std::function<std::optional<FlowCode>()> read_code{};

  std::string file_name() const { return program.substr(program.rfind('/') + 1); }
};

/// A step, as platforms see it.
struct PlannedStep {
  std::string name{};
  const std::vector<graph::Decorator>* decorators = nullptr;
};

/// What the steps of a run require on a platform.
struct Needs {
  /// How the flow gets to the host that executes it.
  enum class Program : std::uint8_t {
    here,     // it is there: on this host, or in an image
    by_link,  // as a package in the store, fetched by a link
    in_store  // as a package in the store, read where the store is mounted
  };
  Program program = Program::here;
  /// Whether other hosts must be able to reach the store: not a directory of this one.
  bool shared_store = false;
};

/// What a backend is created with. The references outlive it.
struct BackendSite {
  base::EventLoop& loop;
  base::Clock& clock;
  BackendEvents& events;
  store::FlowStore& store;
  /// Opens another instance of the store, for a thread. That may outlive this, so it owns what it uses.
  std::function<std::unique_ptr<store::FlowStore>()> open_store{};
  std::string run{};
  std::uint64_t max_log_size = 10;              // MB per stream
  const StoredPackage* package = nullptr;       // if one was needed
  std::vector<std::string> command{};           // that starts the flow on this host
  bool command_forks = false;                   // it also knows kForkServerArgument (base/fork_protocol.h)
  std::vector<std::string> task_environment{};  // of every task on this host
};

/// The steps of a run that one platform executes. Not thread-safe.
class PlatformPlan {
 public:
  virtual ~PlatformPlan() = default;
  virtual Needs needs() const = 0;
  /// Asks the platform, and waits for its answers, so that what cannot work is refused before anything starts. Throws
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
  /// For the user: "Kubernetes". Its errors begin with "Kubernetes error".
  virtual std::string title() const = 0;
  /// The platform's word for an attempt: "pod".
  virtual std::string unit() const = 0;
  virtual const graph::DecoratorKind& decorator() const = 0;
  /// Plans steps with its decorator. Throws Error{platform, invalid_command}, naming the step, for invalid requests.
  /// `site` outlives the plan.
  virtual std::unique_ptr<PlatformPlan> plan(const RunSite& site, const std::vector<PlannedStep>& steps) const = 0;

  /// The platform's word for the places of jobs, which a run records (remote/run_jobs.h): "namespaces". Empty: no job
  /// outlives its scheduler.
  virtual std::string job_places() const { return {}; }
  /// Returns the jobs of runs, for commands that wait. `places`: those of one run; empty: those of the settings. `site`
  /// and `store` outlive it.
  virtual std::unique_ptr<RunJobs> run_jobs(const RunSite& site, store::FlowStore& store,
                                            const std::set<std::string>& places) const;
  /// Returns the index of this process in an array of jobs, from 0; nothing if the platform does not set one.
  virtual std::optional<std::uint64_t> place_in_array() const { return std::nullopt; }
};

/// The platforms of a program, and the decorators that come with them. Immutable.
class Platforms {
 public:
  /// The first platform executes steps that name no other one.
  explicit Platforms(std::vector<const Platform*> all);

  const std::vector<const Platform*>& all() const { return all_; }
  const Platform& fallback() const { return *all_.front(); }
  const graph::DecoratorTable& decorators() const { return decorators_; }
  /// Returns the platform that the decorators of a step name, or the fallback. Throws Error{invalid_flow} for a step
  /// that names two.
  const Platform& of_step(const std::string& step, const std::vector<graph::Decorator>& decorators) const;

 private:
  std::vector<const Platform*> all_;
  graph::DecoratorTable decorators_;
};

/// Returns the platforms of this library.
const Platforms& platforms();

}  // namespace metaflow::compute
