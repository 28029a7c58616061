// A limit on the memory of a process and its descendants together: a control group, where the kernel and the
// permissions give one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace metaflow::base {

class MemoryGroup {
 public:
  /// A group below that of this process; nothing where that is not permitted.
  static std::optional<MemoryGroup> make(const std::string& name, std::uint64_t limit);
  MemoryGroup(MemoryGroup&& other) noexcept;
  MemoryGroup& operator=(MemoryGroup&&) = delete;
  /// Its processes must have ended.
  ~MemoryGroup();

  /// A process joins by writing "0" to this file.
  std::string processes_file() const { return path_ + "/cgroup.procs"; }
  std::uint64_t peak() const;  // bytes; 0: the kernel does not count
  /// Whether the kernel has killed one of them for lack of memory.
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

/// How many processes of a group the kernel has killed for lack of memory, and the most memory that they had together,
/// in bytes. 0 where that is not counted.
std::uint64_t oom_kills(const MemoryGroupPath& group);
std::uint64_t peak_memory(const MemoryGroupPath& group);
/// Its limit in bytes; 0: none.
std::uint64_t memory_limit(const MemoryGroupPath& group);

/// What this machine, or the control groups around this process, have in bytes.
std::uint64_t machine_memory();

}  // namespace metaflow::base
