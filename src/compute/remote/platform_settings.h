// Common to the requests of all platforms: their settings, and checks of the requests.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <metaflow/error.h>

#include "base/json.h"
#include "base/settings.h"
#include "graph/decorators.h"

namespace metaflow::compute {

/// Reads the settings METAFLOW_<platform>_* with the required types. Throws Error{platform} for a value of another
/// type.
class PlatformSettings {
 public:
  /// `settings` must outlive this.
  /// `prefix`: "KUBERNETES"; `title`: of the platform, "Kubernetes".
  PlatformSettings(const base::Settings& settings, std::string prefix, std::string title)
      : settings_(settings), prefix_(std::move(prefix) + "_"), title_(std::move(title)) {}

  std::string text(const std::string& name, const std::string& otherwise = {}) const;
  std::optional<double> number(const std::string& name) const;
  bool boolean(const std::string& name) const;                             // false if it is not set
  std::vector<std::string> list(const std::string& name) const;            // a,b or JSON
  std::map<std::string, std::string> dict(const std::string& name) const;  // a=b,c or JSON
  /// A JSON list of objects with strings and numbers.
  std::vector<std::map<std::string, std::string>> objects(const std::string& name) const;

  /// Returns the image of a container with its registry: `given`, or the image of the settings, or `otherwise`.
  std::string image(const std::string& given, const char* otherwise) const;

 private:
  base::Json json(const std::string& name, const char* what) const;
  [[noreturn]] void wrong(const std::string& name, const std::string& value, const char* what) const;

  const base::Settings& settings_;
  std::string prefix_;
  std::string title_;
};

/// Adds a registry to an image: "base:1" becomes "REGISTRY/base:1" if there is a REGISTRY; "quay.io/base:1" stays.
std::string image_with_registry(const std::string& image, const std::string& registry);

/// Returns `given`, or `otherwise` if that is empty.
template <class Container>
Container given_or(const Container& given, const Container& otherwise) {
  return given.empty() ? otherwise : given;
}

/// Refuses values that are not above zero: throws Error{platform}, naming step and attribute.
struct Positive {
  const std::string& step;
  const char* title;  // of the platform

  double operator()(const char* attribute, double value) const;
  int operator()(const char* attribute, int value) const;
  /// Refuses a path that does not begin with /, in the same way.
  void check_path(const char* attribute, const std::string& path) const;
};

/// Returns half of the memory in whole MiB, at least 1.
int half_of(double memory);

/// A directory in memory, the same for all platforms with containers.
struct Tmpfs {
  std::optional<int> size{};  // MiB; nothing: no directory
  bool is_tempdir = true;     // METAFLOW_TEMPDIR is its path
  std::string path{};
};

/// Reads use_tmpfs, tmpfs_size, tmpfs_tempdir and tmpfs_path of a decorator. `memory`: MiB of the step. Throws
/// Error{platform}.
template <class D>
Tmpfs tmpfs_of(const D& asked, double memory, const Positive& positive) {
  Tmpfs made{.is_tempdir = asked.tmpfs_tempdir, .path = asked.tmpfs_path};
  if (!asked.use_tmpfs && !asked.tmpfs_size) return made;
  made.size = asked.tmpfs_size ? positive("tmpfs_size", *asked.tmpfs_size) : half_of(memory);
  positive.check_path("tmpfs_path", asked.tmpfs_path);
  return made;
}

/// Returns the time limit of the step's job in seconds: its timeout, or Metaflow's limit for steps without one. Throws
/// Error{platform} for a timeout in which a job hardly starts.
std::int64_t job_seconds(const std::vector<graph::Decorator>& decorators, const Positive& step);

/// Reads METAFLOW_<name> as a whole number from 0 on. `what`: "a number of retries". Throws Error{invalid_command}.
std::int64_t number_of(const base::Settings& settings, const std::string& name, std::int64_t otherwise,
                       const char* what);

}  // namespace metaflow::compute
