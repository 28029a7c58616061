#include "compute/local/machine.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include <metaflow/error.h>

#include "base/ascii.h"
#include "base/cpus.h"
#include "base/files.h"
#include "base/format.h"
#include "base/memory_group.h"
#include "base/text.h"

namespace metaflow::compute {

namespace {

constexpr double kTolerance = 1e-9;  // for sums of fractions of a core

std::vector<std::string> visible_gpus() {
  for (const char* variable : {"METAFLOW_LOCAL_GPUS", "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"}) {
    const char* names = std::getenv(variable);
    if (names == nullptr) continue;
    std::vector<std::string> gpus;
    for (const std::string& name : base::split(names, ',')) {
      if (!base::trim(name).empty() && name != "-1") gpus.emplace_back(base::trim(name));
    }
    return gpus;
  }
  auto numbered = [](const std::string& directory, std::string_view prefix) {
    std::size_t count = 0;
    for (const std::string& name : base::list_directory(directory)) {
      const std::string_view rest = name.starts_with(prefix) ? std::string_view(name).substr(prefix.size()) : "";
      if (!rest.empty() && base::is_all_digits(rest)) ++count;
    }
    return count;
  };
  std::size_t count = numbered("/dev", "nvidia");
  if (count == 0 && base::exists("/dev/kfd")) count = numbered("/dev/dri", "renderD");
  std::vector<std::string> gpus;
  for (std::size_t i = 0; i < count; ++i) gpus.push_back(std::to_string(i));
  return gpus;
}

}  // namespace

std::optional<Request> local_request(const std::vector<graph::Decorator>& decorators) {
  const auto here = graph::find_decorator<local>(decorators);
  if (!here) return std::nullopt;
  Request request;
  request.enforce = here->enforce;
  if (const auto wish = graph::find_decorator<resources>(decorators)) {
    request.cpus = wish->cpu;
    request.memory = static_cast<std::uint64_t>(wish->memory * 1e6);
    request.gpus = static_cast<std::size_t>(std::max(0, wish->gpu.value_or(0)));
  }
  return request;
}

Machine::Machine() : Machine(base::available_cpus(), base::machine_memory(), visible_gpus()) {}

Machine::Machine(double cpus, std::uint64_t memory, std::vector<std::string> gpus)
    : cpus_(cpus),
      memory_(memory),
      all_gpus_(gpus.size()),
      free_cpus_(cpus),
      free_memory_(memory),
      free_gpus_(std::move(gpus)) {}

void Machine::check(const std::string& step, const Request& request) const {
  auto refuse = [&](const std::string& asked, const std::string& has) {
    throw Error(ErrorCode::invalid_command,
                fmt::format("Step {} requests {}, but this host has {}: it could never start", step, asked, has),
                "Request less, or omit `local`: resources are a hint then.");
  };
  if (request.cpus > cpus_ + kTolerance) refuse(fmt::format("{:g} cores", request.cpus), fmt::format("{:g}", cpus_));
  if (request.memory > memory_) refuse(base::human_bytes(request.memory) + " of memory", base::human_bytes(memory_));
  if (request.gpus > all_gpus_) refuse(fmt::format("{} GPUs", request.gpus), fmt::format("{}", all_gpus_));
}

bool Machine::fits(const Request& request) const {
  return request.cpus <= free_cpus_ + kTolerance && request.memory <= free_memory_ && request.gpus <= free_gpus_.size();
}

Room Machine::room_for(const Request& request) const {
  Room room{SIZE_MAX};
  auto limit = [&](std::size_t tasks, const std::string& each, const std::string& all) {
    if (tasks < room.tasks) room = {tasks, fmt::format("{}, and this host has {}", each, all)};
  };
  if (request.cpus > 0) {
    limit(static_cast<std::size_t>(std::floor(cpus_ / request.cpus + kTolerance)),
          fmt::format("{:g} core{}", request.cpus, request.cpus == 1 ? "" : "s"), fmt::format("{:g}", cpus_));
  }
  if (request.memory > 0) {
    limit(memory_ / request.memory, base::human_bytes(request.memory) + " of memory", base::human_bytes(memory_));
  }
  if (request.gpus > 0) {
    limit(all_gpus_ / request.gpus, fmt::format("{} GPU{}", request.gpus, request.gpus == 1 ? "" : "s"),
          fmt::format("{}", all_gpus_));
  }
  return room;
}

Grant Machine::take(const Request& request) {
  Grant grant{request, {}, true};
  free_cpus_ -= request.cpus;
  free_memory_ -= request.memory;
  grant.gpus.assign(free_gpus_.begin(), free_gpus_.begin() + static_cast<std::ptrdiff_t>(request.gpus));
  free_gpus_.erase(free_gpus_.begin(), free_gpus_.begin() + static_cast<std::ptrdiff_t>(request.gpus));
  return grant;
}

void Machine::give_back(Grant& grant) {
  if (!grant.granted) return;
  grant.granted = false;
  free_cpus_ = std::min(cpus_, free_cpus_ + grant.request.cpus);
  free_memory_ += grant.request.memory;
  free_gpus_.insert(free_gpus_.end(), grant.gpus.begin(), grant.gpus.end());
  std::sort(free_gpus_.begin(), free_gpus_.end());
  grant.gpus.clear();
}

std::vector<std::string> Machine::environment(const Grant& grant) const {
  std::vector<std::string> variables;
  if (all_gpus_ > 0) {
    for (const char* name : {"CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"})
      variables.push_back(fmt::format("{}={}", name, base::join(grant.gpus, ",")));
  }
  const int threads = std::max(1, static_cast<int>(std::floor(grant.request.cpus + kTolerance)));
  for (const char* name :
       {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS"}) {
    if (std::getenv(name) == nullptr) variables.push_back(fmt::format("{}={}", name, threads));
  }
  return variables;
}

}  // namespace metaflow::compute
