// Decorators: what a step asks of the system that executes it. Plain structs, given to mf::step or, by name, to --with.
#pragma once

#include <metaflow/detail/decorator.h>

#include <map>
#include <optional>
#include <string>

namespace metaflow {

/// What a task needs: a hint, which takes effect through a decorator that names a platform (`--with
/// resources:cpu=4,memory=8000`).
struct resources {
  double cpu = 1;                      // cores
  std::optional<int> gpu{};            // devices
  std::optional<double> disk{};        // MB
  double memory = 4096;                // MB
  std::optional<int> shared_memory{};  // MiB
};

/// Environment variables of a task, set before its process starts.
struct environment {
  std::map<std::string, std::string> vars{};
};

detail::Decorator make_decorator(const resources& decorator);
detail::Decorator make_decorator(const environment& decorator);

}  // namespace metaflow
