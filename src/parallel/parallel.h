// What threads and processes share.
#pragma once

#include <atomic>

#include <metaflow/parallel.h>

namespace metaflow::parallel {

/// How many workers a call may have: what was asked for, at most one per item. Calls inside of items get what is left
/// of the cores.
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

/// "std::runtime_error: boom" of the exception that is being handled.
std::string describe_exception();

}  // namespace metaflow::parallel
