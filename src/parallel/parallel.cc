#include "parallel/parallel.h"

#include <cxxabi.h>

#include <algorithm>

#include <metaflow/current.h>

#include "base/cpus.h"
#include "base/format.h"
#include "base/stacktrace.h"
#include "runtime/task/current_task.h"

namespace metaflow {

ItemError::ItemError(std::size_t item, const std::string& why, std::exception_ptr cause)
    : Error(ErrorCode::item_failure, fmt::format("parallel_map: item {}: {}", item, why)),
      item_(item),
      cause_(std::move(cause)) {}

namespace parallel {

std::atomic<unsigned> Workers::active_{0};

Workers::Workers(std::size_t items, const parallel_options& options) {
  unsigned wanted = options.max_parallel;
  if (wanted == 0) {
    const unsigned cpus = runtime::current_task() != nullptr ? current().cpus() : base::available_cpus();
    const unsigned busy = active_.load();
    wanted = cpus > busy ? cpus - busy : 1;
  }
  count_ = static_cast<unsigned>(std::clamp<std::size_t>(wanted, 1, std::max<std::size_t>(items, 1)));
  active_ += count_ - 1;
}

Workers::~Workers() { active_ -= count_ - 1; }

std::string describe_exception() {
  const std::type_info* type = abi::__cxa_current_exception_type();
  const std::string name = type != nullptr ? base::demangle(type->name()) : "a non-C++ exception";
  try {
    throw;
  } catch (const Error& error) {
    return error.what();
  } catch (const std::exception& error) {
    return fmt::format("{}: {}", name, error.what());
  } catch (...) {
    return name;
  }
}

}  // namespace parallel
}  // namespace metaflow
