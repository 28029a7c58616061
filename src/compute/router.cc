#include "compute/router.h"

#include <utility>

namespace metaflow::compute {

Router::Router(std::unique_ptr<Backend> local) { backends_.push_back(std::move(local)); }

void Router::add(std::unique_ptr<Backend> backend, const std::vector<std::string>& steps) {
  for (const std::string& step : steps) by_step_[step] = backend.get();
  backends_.push_back(std::move(backend));
}

void Router::submit(const Attempt& attempt) {
  const auto found = by_step_.find(attempt.step.step);
  const bool is_fallback = attempt.step.retry_count > attempt.step.max_user_code_retries;
  Backend* chosen = found == by_step_.end() || is_fallback ? backends_.front().get() : found->second;
  chosen->submit(attempt);
}

void Router::stop(std::span<const AttemptId> attempts, Stop how) {
  for (const auto& backend : backends_) backend->stop(attempts, how);
}

void Router::end() {
  for (const auto& backend : backends_) backend->end();
}

}  // namespace metaflow::compute
