// The backends of a run as one: each attempt goes to that of its step.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "compute/backend.h"

namespace metaflow::compute {

/// Not thread-safe.
class Router : public Backend {
 public:
  /// `local` executes steps without another backend, and attempts that only record that a step failed: those require
  /// none of what the step requests.
  explicit Router(std::unique_ptr<Backend> local);

  void add(std::unique_ptr<Backend> backend, const std::vector<std::string>& steps);

  bool has_room(const std::string& step) const override;
  void submit(const Attempt& attempt) override;
  void stop(std::span<const AttemptId> attempts, Stop how) override;
  void leave() override;
  void hold_output(bool held) override;
  void suspend() override;
  void proceed() override;
  void end(Stop how) override;

 private:
  Backend& backend_of(const std::string& step) const;

  std::vector<std::unique_ptr<Backend>> backends_;  // the local one first
  std::map<std::string, Backend*> by_step_;
};

}  // namespace metaflow::compute
