// Limits the memory of a process and its descendants together: with a control group, if the kernel and the permissions
// allow it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace metaflow::base {

class MemoryGroup {
 public:
  /// Creates a group below that of this process; nothing if that is not permitted.
  static std::optional<MemoryGroup> make(const std::string& name, std::uint64_t limit);
  MemoryGroup(MemoryGroup&& other) noexcept;
  MemoryGroup& operator=(MemoryGroup&&) = delete;
  /// The processes of the group must have ended.
  ~MemoryGroup();

  /// A process joins by writing "0" to this file.
  std::string processes_file() const { return path_ + "/cgroup.procs"; }
  std::uint64_t peak() const;  // bytes; 0: not counted by the kernel
  /// Whether the kernel has killed a process of the group because memory ran out.
  bool killed() const;

 private:
  MemoryGroup(std::string path, bool unified) : path_(std::move(path)), unified_(unified) {}

  std::string path_;
  bool unified_;
};

/// The control group of this process, if memory can be limited by control groups here.
struct MemoryGroupPath {
  std::string directory;
  bool unified = false;  // version 2
};
std::optional<MemoryGroupPath> own_memory_group();

/// The number of processes of a group that the kernel has killed because memory ran out, and the peak of their common
/// memory in bytes. 0 if it is not counted.
std::uint64_t oom_kills(const MemoryGroupPath& group);
std::uint64_t peak_memory(const MemoryGroupPath& group);
/// The limit of the group in bytes; 0: none.
std::uint64_t memory_limit(const MemoryGroupPath& group);

/// The memory of this machine, or the limit of the enclosing control groups if that is smaller, in bytes.
std::uint64_t machine_memory();

}  // namespace metaflow::base
