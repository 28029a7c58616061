#include "compute/remote/job_identity.h"

#include <algorithm>
#include <span>

#include "base/format.h"
#include "base/hash.h"
#include "base/text.h"

namespace metaflow::compute {

namespace {

constexpr std::size_t kKeyBytes = 8;  // of a hash in names: 64 bits

std::string short_hash(std::string_view text) { return base::sha256_hex(text).substr(0, 2 * kKeyBytes); }

}  // namespace

std::string attempt_key(const JobIdentity& identity, std::string_view store, int tries) {
  std::string whole = fmt::format("{}\n{}\n{}\n{}\n{}\n{}", store, identity.flow, identity.run, identity.step,
                                  identity.task, identity.attempt);
  if (tries > 0) whole += fmt::format("\n{}", tries);
  return short_hash(whole);
}

std::string run_key(std::string_view flow, std::string_view run, std::string_view store) {
  return short_hash(fmt::format("{}\n{}\n{}", store, flow, run));
}

Variables processor_variables(double cpu, const Variables& environment) {
  Variables made;
  const std::string threads = std::to_string(std::max(1, static_cast<int>(cpu)));
  for (const char* pool :
       {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS"}) {
    const bool is_set = std::any_of(environment.begin(), environment.end(),
                                    [&](const auto& variable) { return variable.first == pool; });
    if (!is_set) made.emplace_back(pool, threads);
  }
  made.emplace_back("METAFLOW_TASK_CPUS", fmt::format("{}", cpu));
  return made;
}

}  // namespace metaflow::compute
