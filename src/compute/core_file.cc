#include "compute/core_file.h"

#include "base/files.h"
#include "base/format.h"
#include "base/text.h"

namespace metaflow::compute {

namespace {

constexpr std::size_t kMaxNameLength = 15;  // the kernel truncates a program's name to this length

/// Expands the pattern; empty if it contains what is not known here, such as the time.
std::string expand(std::string_view pattern, std::string_view name, pid_t pid) {
  std::string path;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%') {
      path += pattern[i];
      continue;
    }
    if (++i == pattern.size()) break;
    switch (pattern[i]) {
      case '%': path += '%'; break;
      case 'p':
      case 'P': path += std::to_string(pid); break;
      case 'e': path += name.substr(0, kMaxNameLength); break;
      default: return {};
    }
  }
  return path;
}

}  // namespace

std::string describe_core_file(std::string_view pattern, const std::string& directory, std::string_view name,
                               pid_t pid) {
  pattern = base::trim(pattern);
  if (pattern.starts_with('|')) {
    return pattern.find("systemd-coredump") != std::string_view::npos
               ? fmt::format("see `coredumpctl info {}`", pid)
               : fmt::format("piped to `{}`", base::trim(pattern.substr(1)));
  }
  const std::string absolute =
      pattern.starts_with('/') ? std::string(pattern) : fmt::format("{}/{}", directory, pattern);
  const std::string expanded = expand(absolute, name, pid);
  // With kernel.core_uses_pid, the kernel appends the number to a pattern without one.
  for (const std::string& path : {expanded + "." + std::to_string(pid), expanded}) {
    if (!expanded.empty() && base::exists(path)) return path;
  }
  return "in " + absolute.substr(0, absolute.rfind('/'));
}

}  // namespace metaflow::compute
