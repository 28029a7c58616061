#include "base/memory_group.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/files.h"
#include "base/format.h"
#include "base/text.h"

namespace metaflow::base {

namespace {

/// Control files are written in place, with one write.
bool write_control(const std::string& path, const std::string& text) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

std::uint64_t number_in(const std::string& path) {
  const auto text = try_read_file(path);
  return text ? std::strtoull(std::string(text->text()).c_str(), nullptr, 10) : 0;
}

}  // namespace

std::optional<MemoryGroupPath> own_memory_group() {
  const auto groups = try_read_file("/proc/self/cgroup");
  if (!groups) return std::nullopt;
  std::optional<MemoryGroupPath> found;
  for (const std::string& line : split(groups->text(), '\n')) {
    const auto parts = split(line, ':');  // id:controllers:path
    if (parts.size() < 3) continue;
    const std::string path = parts[2] == "/" ? "" : parts[2];
    if (parts[1].empty()) {
      if (!found && exists("/sys/fs/cgroup/cgroup.controllers")) found = {"/sys/fs/cgroup" + path, true};
    } else if (("," + parts[1] + ",").find(",memory,") != std::string::npos) {
      found = {"/sys/fs/cgroup/memory" + path, false};  // version 1, if in use, has the controller
    }
  }
  // In a container the file may contain a path of the host, while the container's own group is mounted.
  if (found && !exists(found->directory))
    found->directory = found->unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
  return found;
}

std::optional<MemoryGroup> MemoryGroup::make(const std::string& name, std::uint64_t limit) {
  const auto own = own_memory_group();
  if (!own) return std::nullopt;
  const std::string path = own->directory + "/" + name;
  if (::mkdir(path.c_str(), 0755) != 0) return std::nullopt;
  MemoryGroup group(path, own->unified);  // removes the group if the following fails
  const bool limited =
      write_control(path + (own->unified ? "/memory.max" : "/memory.limit_in_bytes"), std::to_string(limit));
  if (!limited || ::access(group.processes_file().c_str(), W_OK) != 0) return std::nullopt;
  // Swapping would only delay the end. Not every kernel has this file.
  if (own->unified) {
    write_control(path + "/memory.swap.max", "0");
  } else {
    write_control(path + "/memory.memsw.limit_in_bytes", std::to_string(limit));
  }
  return group;
}

MemoryGroup::MemoryGroup(MemoryGroup&& other) noexcept : path_(std::move(other.path_)), unified_(other.unified_) {
  other.path_.clear();
}

MemoryGroup::~MemoryGroup() {
  if (!path_.empty()) ::rmdir(path_.c_str());
}

std::uint64_t MemoryGroup::peak() const { return peak_memory({path_, unified_}); }

bool MemoryGroup::killed() const { return oom_kills({path_, unified_}) > 0; }

std::uint64_t oom_kills(const MemoryGroupPath& group) {
  const auto text = try_read_file(group.directory + (group.unified ? "/memory.events" : "/memory.oom_control"));
  if (!text) return 0;
  for (const std::string& line : split(text->text(), '\n')) {
    if (line.starts_with("oom_kill ")) return std::strtoull(line.c_str() + 9, nullptr, 10);
  }
  return 0;
}

std::uint64_t peak_memory(const MemoryGroupPath& group) {
  return number_in(group.directory + (group.unified ? "/memory.peak" : "/memory.max_usage_in_bytes"));
}

std::uint64_t memory_limit(const MemoryGroupPath& group) {
  constexpr std::uint64_t kNone = std::uint64_t{1} << 60;  // version 1 has a number near 2^63, version 2 "max"
  const std::uint64_t limit = number_in(group.directory + (group.unified ? "/memory.max" : "/memory.limit_in_bytes"));
  return limit < kNone ? limit : 0;
}

/// The smallest limit of the control groups around this process; 0 if there is none.
static std::uint64_t smallest_memory_limit() {
  std::uint64_t smallest = 0;
  const auto own = own_memory_group();
  if (!own) return 0;
  const std::string mount = own->unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
  for (std::string path = own->directory; path.size() >= mount.size(); path = path.substr(0, path.rfind('/'))) {
    const std::uint64_t limit = memory_limit({path, own->unified});
    if (limit > 0 && (smallest == 0 || limit < smallest)) smallest = limit;
  }
  return smallest;
}

std::uint64_t machine_memory() {
  const auto pages = ::sysconf(_SC_PHYS_PAGES);
  const auto page = ::sysconf(_SC_PAGESIZE);
  const std::uint64_t physical =
      pages > 0 ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page) : UINT64_MAX;
  const std::uint64_t limit = smallest_memory_limit();
  return limit > 0 ? std::min(limit, physical) : physical;
}

}  // namespace metaflow::base
