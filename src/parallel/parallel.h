// The common part of the modes threads and processes.
#pragma once

#include <atomic>

#include <metaflow/parallel.h>

namespace metaflow::parallel {

/// The number of workers of a call: as requested, but at most one per item. Calls nested in items share the remaining
/// cores.
class Workers {
 public:
  Workers(std::size_t items, const parallel_options& options);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  unsigned count() const { return count_; }

 private:
  unsigned count_;
  static std::atomic<unsigned> active_;  // workers beyond the callers themselves
};

/// "std::runtime_error: boom" for the exception that is being handled.
std::string describe_exception();

}  // namespace metaflow::parallel
