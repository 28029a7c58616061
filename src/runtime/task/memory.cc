#include "runtime/task/memory.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "base/files.h"
#include "base/format.h"
#include "base/memory_group.h"
#include "base/text.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MF_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define MF_SANITIZED 1
#endif
#endif

// Functions with which the runtimes of sanitizers begin. A flow may be instrumented when this library is not, so the
// check is made at run time.
extern "C" {
[[gnu::weak]] void __asan_init();
[[gnu::weak]] void __hwasan_init();
[[gnu::weak]] void __msan_init();
[[gnu::weak]] void __tsan_init();
}

namespace metaflow::runtime {

namespace {

bool is_sanitized() {
  return __asan_init != nullptr || __hwasan_init != nullptr || __msan_init != nullptr || __tsan_init != nullptr;
}

// The size of the last allocation of this thread that failed.
thread_local std::size_t failed_allocation = 0;

std::uint64_t used_memory() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace

void cap_memory() {
  if (is_sanitized()) return;
  const char* wish = std::getenv("METAFLOW_MEMORY_CAP");
  if (wish != nullptr && std::string_view(wish) == "0") return;
  rlimit limit{};
  if (::getrlimit(RLIMIT_DATA, &limit) != 0) return;
  const rlim_t memory = base::machine_memory();
  if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur <= memory) return;
  limit.rlim_cur = limit.rlim_max == RLIM_INFINITY ? memory : std::min<rlim_t>(memory, limit.rlim_max);
  ::setrlimit(RLIMIT_DATA, &limit);
}

void apply_memory_limit() {
  // A control group counts the memory in use, including descendants. The kernel's limit for one process counts the
  // allocated memory.
  if (const char* file = std::getenv("METAFLOW_MEMORY_GROUP")) {
    const base::Fd fd(::open(file, O_WRONLY | O_CLOEXEC));
    if (fd && ::write(fd.get(), "0", 1) == 1) return;
  }
  const char* limit = std::getenv("METAFLOW_MEMORY_LIMIT");
  if (limit == nullptr || is_sanitized()) return;
  rlimit data{};
  if (::getrlimit(RLIMIT_DATA, &data) != 0) return;
  data.rlim_cur = std::min<rlim_t>(data.rlim_max, std::strtoull(limit, nullptr, 10));
  ::setrlimit(RLIMIT_DATA, &data);
}

std::string describe_failed_allocation() {
  rlimit limit{};
  ::getrlimit(RLIMIT_DATA, &limit);
  const std::uint64_t memory = base::machine_memory();
  const std::uint64_t cap = limit.rlim_cur == RLIM_INFINITY ? memory : std::min<std::uint64_t>(limit.rlim_cur, memory);
  const std::string asked = failed_allocation > 0 ? fmt::format("{} ({} bytes)", base::human_bytes(failed_allocation),
                                                                base::grouped(failed_allocation))
                                                  : "memory";
  return fmt::format("cannot allocate {}: a task here can have {}, and this one used {} at its peak", asked,
                     base::human_bytes(cap), base::human_bytes(used_memory()));
}

}  // namespace metaflow::runtime

#if !defined(MF_SANITIZED)

// Like operator new of libstdc++, but remembers the size of a failed allocation, which std::bad_alloc does not have.
// Weak, so that a program's own operator new takes precedence.

namespace {

[[gnu::cold]] void* allocation_failed(std::size_t size, std::size_t alignment, bool may_throw) {
  while (true) {
    metaflow::runtime::failed_allocation = size;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) {
      if (may_throw) throw std::bad_alloc();
      return nullptr;
    }
    handler();
    void* memory = alignment == 0 ? std::malloc(size) : std::aligned_alloc(alignment, size);
    if (memory != nullptr) return memory;
  }
}

}  // namespace

[[gnu::weak]] void* operator new(std::size_t size) {
  void* memory = std::malloc(size == 0 ? 1 : size);
  return memory != nullptr ? memory : allocation_failed(size, 0, true);
}

[[gnu::weak]] void* operator new[](std::size_t size) { return operator new(size); }

[[gnu::weak]] void* operator new(std::size_t size, std::align_val_t alignment) {
  const auto align = static_cast<std::size_t>(alignment);
  const std::size_t rounded = (size + align - 1) / align * align;
  void* memory = rounded < size ? nullptr : std::aligned_alloc(align, rounded == 0 ? align : rounded);
  return memory != nullptr ? memory : allocation_failed(size, align, true);
}

[[gnu::weak]] void* operator new[](std::size_t size, std::align_val_t alignment) {
  return operator new(size, alignment);
}

[[gnu::weak]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::weak]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::weak]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::weak]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::weak]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::weak]] void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::weak]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
[[gnu::weak]] void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

#endif
