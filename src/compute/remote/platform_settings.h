// What the requests to all platforms have in common: their settings, and the checks of what was asked for.
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

/// The settings METAFLOW_<platform>_*, read as what they have to be. What they are not is an Error{platform}.
class PlatformSettings {
 public:
  /// `settings` must outlive this.
  /// `prefix`: "KUBERNETES"; `title`: of the platform, "Kubernetes".
  PlatformSettings(const base::Settings& settings, std::string prefix, std::string title)
      : settings_(settings), prefix_(std::move(prefix) + "_"), title_(std::move(title)) {}

  std::string text(const std::string& name, const std::string& otherwise = {}) const;
  std::optional<double> number(const std::string& name) const;
  bool truth(const std::string& name) const;                               // false if it is not set
  std::vector<std::string> list(const std::string& name) const;            // a,b or JSON
  std::map<std::string, std::string> dict(const std::string& name) const;  // a=b,c or JSON
  /// A JSON list of objects of texts and numbers.
  std::vector<std::map<std::string, std::string>> objects(const std::string& name) const;

  /// The image of a container, `given` or that of the settings or `otherwise`, with its registry.
  std::string image(const std::string& given, const char* otherwise) const;

 private:
  base::Json json(const std::string& name, const char* what) const;
  [[noreturn]] void wrong(const std::string& name, const std::string& value, const char* what) const;

  const base::Settings& settings_;
  std::string prefix_;
  std::string title_;
};

/// An image with its registry: "base:1" is "REGISTRY/base:1" if there is a REGISTRY, "quay.io/base:1" stays as it is.
std::string image_with_registry(const std::string& image, const std::string& registry);

/// What is not given comes from the settings.
template <class Container>
Container given_or(const Container& given, const Container& otherwise) {
  return given.empty() ? otherwise : given;
}

/// Refuses values that are not above zero, as Error{platform} that names step and attribute.
struct Positive {
  const std::string& step;
  const char* title;  // of the platform

  double operator()(const char* attribute, double value) const;
  int operator()(const char* attribute, int value) const;
  /// The same of a path that does not begin with /.
  void check_path(const char* attribute, const std::string& path) const;
};

/// Half of the memory in whole MiB, 1 at least.
int half_of(double memory);

/// A directory in memory, as all platforms with containers have it.
struct Tmpfs {
  std::optional<int> size{};  // MiB; nothing: there is none
  bool is_tempdir = true;     // METAFLOW_TEMPDIR says where it is
  std::string path{};
};

/// What a decorator asks for by use_tmpfs, tmpfs_size, tmpfs_tempdir and tmpfs_path. `memory`: MiB of the step. Throws
/// Error{platform}.
template <class D>
Tmpfs tmpfs_of(const D& asked, double memory, const Positive& positive) {
  Tmpfs made{.is_tempdir = asked.tmpfs_tempdir, .path = asked.tmpfs_path};
  if (!asked.use_tmpfs && !asked.tmpfs_size) return made;
  made.size = asked.tmpfs_size ? positive("tmpfs_size", *asked.tmpfs_size) : half_of(memory);
  positive.check_path("tmpfs_path", asked.tmpfs_path);
  return made;
}

/// Seconds that a job of the step may take: its timeout, or Metaflow's limit for those that have none. Throws
/// Error{platform} for a timeout in which a job hardly starts.
std::int64_t job_seconds(const std::vector<graph::Decorator>& decorators, const Positive& step);

/// METAFLOW_<name> as a whole number from 0 on. `what`: "a number of retries". Throws Error{invalid_command}.
std::int64_t number_of(const base::Settings& settings, const std::string& name, std::int64_t otherwise,
                       const char* what);

}  // namespace metaflow::compute
