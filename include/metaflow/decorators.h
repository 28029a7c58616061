// Decorators: requests of a step to the system that runs it. Plain structs, given to mf::step or, by name, to --with.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <metaflow/batch.h>
#include <metaflow/caught.h>
#include <metaflow/codec.h>
#include <metaflow/detail/decorator.h>
#include <metaflow/kubernetes.h>

namespace metaflow {

namespace detail {

/// The name of a member of a flow (metaflow/inputs.h).
template <class Flow, class T>
std::string name_of_member(T Flow::*member);

}  // namespace detail

/// What a task needs. A hint only: a decorator that selects a platform applies it (`--with
/// resources:cpu=4,memory=8000`).
struct resources {
  double cpu = 1;                      ///< cores
  std::optional<int> gpu{};            ///< devices
  std::optional<double> disk{};        ///< MB
  double memory = 4096;                ///< MB
  std::optional<int> shared_memory{};  ///< MiB
};

/// Environment variables of a task, set before its process starts.
struct environment {
  std::map<std::string, std::string> vars{};  ///< values by name
};

/// Retries a failed task, whatever the reason: an exception, a signal, a timeout.
struct retry {
  int times = 3;  ///< besides the first attempt; at most 4
  /// Delay before a retry; occupies no worker. Default: none for local tasks, 2 minutes for remote ones.
  std::optional<double> minutes_between_retries{};
};

/// Stops an attempt that takes longer than the sum of these. Counts as a failure: retry and catch_ apply.
struct timeout {
  double seconds = 0;  ///< part of the time in seconds
  double minutes = 0;  ///< in minutes
  double hours = 0;    ///< in hours
};

/// An artifact that is not a member of the flow: readers in Python see it, the steps do not.
struct for_python {
  std::string name;  ///< of the artifact
};

/// The artifact that holds the exception that catch_ caught: a member of the flow, `&Sweep::problem`;
/// `mf::for_python{"problem"}`; or none.
class caught_artifact {
 public:
  caught_artifact() = default;
  /// An artifact that is not a member.
  caught_artifact(for_python artifact) : name_(std::move(artifact.name)) {}
  /// A member of the flow, of type std::optional<CaughtException>.
  template <class Flow, class T>
    requires(!std::is_function_v<T>)
  caught_artifact(T Flow::*member) {
    constexpr bool kHoldsIt = std::is_same_v<T, std::optional<CaughtException>>;
    static_assert(kHoldsIt, "metaflow: the member that catch_ fills is a std::optional<mf::CaughtException>");
    if constexpr (kHoldsIt) name_ = detail::name_of_member(member);
  }
  /// Refused: a name is not checked by the compiler.
  template <class Text>
    requires(std::is_same_v<std::decay_t<Text>, char*> || std::is_same_v<std::decay_t<Text>, const char*> ||
             std::is_same_v<Text, std::string> || std::is_same_v<Text, std::string_view>)
  caught_artifact(const Text& /*name*/) {
    static_assert(!std::is_same_v<Text, Text>,
                  "metaflow: catch_ fills a member, .var = &Flow::problem, or mf::for_python{\"problem\"}");
  }

  /// The name of the artifact.
  const std::string& name() const { return name_; }
  /// Whether the decorator names no artifact.
  bool empty() const { return name_.empty(); }

 private:
  std::string name_;
};

template <>
struct Codec<caught_artifact> {
  using Stored = std::string;
  static std::string save(const caught_artifact& artifact) { return artifact.name(); }
  static caught_artifact load(std::string name) { return for_python{std::move(name)}; }
};

/// Lets the run continue after the last attempt of a task failed. The task keeps what the step had set before it threw
/// or timed out; if its process died, it keeps the values that it started with.
struct catch_ {
  caught_artifact var{};        ///< set to a CaughtException; nothing if the step succeeded
  bool print_exception = true;  ///< in the log of the task
};

/// Runs the step on this machine and applies `resources`: a task starts when its cores, memory and GPUs are free.
struct local {
  bool enforce = false;  ///< the memory of `resources` is a hard limit
};

detail::Decorator make_decorator(const resources& decorator);
detail::Decorator make_decorator(const environment& decorator);
detail::Decorator make_decorator(const retry& decorator);
detail::Decorator make_decorator(const timeout& decorator);
detail::Decorator make_decorator(const catch_& decorator);
detail::Decorator make_decorator(const local& decorator);

}  // namespace metaflow
