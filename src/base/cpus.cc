#include "base/cpus.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>

#include "base/files.h"
#include "base/text.h"

namespace metaflow::base {

namespace {

/// quota / period of a control group; 0 if it has no quota.
double quota_of(const std::string& group, bool unified) {
  if (unified) {
    const auto text = try_read_file(group + "/cpu.max");  // "200000 100000" or "max 100000"
    if (!text) return 0;
    const auto parts = split(trim(text->text()), ' ');
    if (parts.size() != 2 || parts[0] == "max") return 0;
    const double period = std::atof(parts[1].c_str());
    return period > 0 ? std::atof(parts[0].c_str()) / period : 0;
  }
  const auto quota = try_read_file(group + "/cpu.cfs_quota_us");
  const auto period = try_read_file(group + "/cpu.cfs_period_us");
  if (!quota || !period) return 0;
  const double q = std::atof(std::string(quota->text()).c_str());
  const double p = std::atof(std::string(period->text()).c_str());
  return q > 0 && p > 0 ? q / p : 0;
}

double cgroup_quota() {
  double smallest = 0;
  const auto groups = try_read_file("/proc/self/cgroup");
  if (!groups) return 0;
  for (const std::string& line : split(groups->text(), '\n')) {
    const auto parts = split(line, ':');
    if (parts.size() < 3) continue;
    const bool unified = parts[1].empty();
    if (!unified && ("," + parts[1] + ",").find(",cpu,") == std::string::npos) continue;
    const std::string mount = unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu";
    for (std::string path = parts[2];; path = path.substr(0, path.rfind('/'))) {
      const double quota = quota_of(mount + (path == "/" ? "" : path), unified);
      if (quota > 0 && (smallest == 0 || quota < smallest)) smallest = quota;
      if (path.empty() || path == "/") break;
    }
  }
  return smallest;
}

}  // namespace

unsigned available_cpus() {
  static const unsigned kCpus = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    unsigned cpus = ::sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<unsigned>(CPU_COUNT(&set)) : 1;
    const double quota = cgroup_quota();
    if (quota > 0) cpus = std::min(cpus, static_cast<unsigned>(std::ceil(quota)));
    return std::max(cpus, 1U);
  }();
  return kCpus;
}

}  // namespace metaflow::base
