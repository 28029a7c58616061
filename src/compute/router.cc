#include "compute/router.h"

#include <utility>

namespace metaflow::compute {

Router::Router(std::unique_ptr<Backend> local) { backends_.push_back(std::move(local)); }

void Router::add(std::unique_ptr<Backend> backend, const std::vector<std::string>& steps) {
  for (const std::string& step : steps) by_step_[step] = backend.get();
  backends_.push_back(std::move(backend));
}

Backend& Router::backend_of(const std::string& step) const {
  const auto found = by_step_.find(step);
  return found == by_step_.end() ? *backends_.front() : *found->second;
}

bool Router::has_room(const std::string& step) const { return backend_of(step).has_room(step); }

void Router::submit(const Attempt& attempt) {
  const bool is_fallback = attempt.step.retry_count > attempt.step.max_user_code_retries;
  (is_fallback ? *backends_.front() : backend_of(attempt.step.step)).submit(attempt);
}

void Router::stop(std::span<const AttemptId> attempts, Stop how) {
  for (const auto& backend : backends_) backend->stop(attempts, how);
}

void Router::leave() {
  for (const auto& backend : backends_) backend->leave();
}

void Router::hold_output(bool held) {
  for (const auto& backend : backends_) backend->hold_output(held);
}

void Router::suspend() {
  for (const auto& backend : backends_) backend->suspend();
}

void Router::proceed() {
  for (const auto& backend : backends_) backend->proceed();
}

void Router::end(Stop how) {
  for (const auto& backend : backends_) backend->end(how);
}

}  // namespace metaflow::compute
