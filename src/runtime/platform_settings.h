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

namespace metaflow::runtime {

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
};

/// Seconds that a job of the step may take: its timeout, or Metaflow's limit for those that have none. `title`: of the
/// platform. Throws Error{platform} for a timeout in which a job hardly starts.
std::int64_t time_limit_of(const std::string& step, const std::vector<graph::Decorator>& decorators, const char* title);

/// Throws Error{invalid_flow} for a step that two platforms are named for.
void check_platforms(const std::string& step, const std::vector<graph::Decorator>& decorators);

}  // namespace metaflow::runtime
