#include "base/stacktrace.h"

#include <cxxabi.h>
#include <link.h>
#include <unistd.h>
#include <unwind.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <map>
#include <optional>

#include <metaflow/error.h>

#include "base/capture.h"
#include "base/elf.h"
#include "base/files.h"
#include "base/format.h"
#include "base/process.h"
#include "base/text.h"

namespace metaflow::base {

namespace {

_Unwind_Reason_Code add_frame(_Unwind_Context* context, void* argument) {
  auto* stack = static_cast<RawStack*>(argument);
  if (stack->size == kMaxFrames) return _URC_END_OF_STACK;
  int before_instruction = 0;
  auto address = _Unwind_GetIPInfo(context, &before_instruction);
  // A return address is behind the call, possibly on the next line; the address of a signal frame is exact.
  if (before_instruction == 0 && address > 0) --address;
  stack->frames[stack->size++] = reinterpret_cast<void*>(address);
  return _URC_NO_REASON;
}

/// The functions of a file, by address.
class SymbolTable {
 public:
  explicit SymbolTable(const std::string& path) : image_(try_read_file(path).value_or(SharedBytes())) {
    symbols_ = read_elf_symbols(image_.bytes());
  }

  std::string find(std::uint64_t address) const {
    const auto after = std::upper_bound(symbols_.functions.begin(), symbols_.functions.end(), address,
                                        [](std::uint64_t a, const ElfFunction& f) { return a < f.address; });
    if (after == symbols_.functions.begin()) return {};
    const ElfFunction& function = *std::prev(after);
    if (function.size != 0 && address >= function.address + function.size) return {};
    return demangle(function.name);
  }

  bool has_lines() const { return symbols_.has_lines; }

 private:
  SharedBytes image_;
  ElfSymbols symbols_;  // names point into the image
};

constexpr std::chrono::seconds kAddr2lineTimeout{20};  // for addr2line, per stack

/// Function and "file:line" per address, including inlined functions, in addr2line's format: groups that begin with the
/// address.
std::map<std::uint64_t, std::vector<std::string>> lines_of(const std::string& module,
                                                           const std::vector<std::uint64_t>& addresses) {
  std::map<std::uint64_t, std::vector<std::string>> found;
  const auto program = search_path("addr2line");
  // Never a program in the current directory, where others may have put it.
  if (!program || !program->starts_with('/') || addresses.empty()) return found;
  // In addr2line, /proc/self would be its own entry.
  const std::string file = module == "/proc/self/exe" ? fmt::format("/proc/{}/exe", ::getpid()) : module;
  std::vector<std::string> command{*program, "-a", "-i", "-f", "-e", file};
  for (std::uint64_t address : addresses) command.push_back(fmt::format("{:#x}", address));
  std::string output;
  try {
    output = run_captured(command, own_environment(), kAddr2lineTimeout).out;
  } catch (const Error&) {  // show functions without lines
    return found;
  }
  std::uint64_t current = 0;
  std::string function;
  for (const std::string& line : split(output, '\n')) {
    if (line.starts_with("0x")) {
      current = std::strtoull(line.c_str(), nullptr, 16);
      function.clear();
    } else if (function.empty()) {
      function = demangle(line.c_str());
    } else {
      if (line.find("??") == std::string::npos && line.find(":?") == std::string::npos) {
        const std::string place = line.substr(0, line.find(" (discriminator"));
        found[current].push_back(fmt::format("{} at {}", function, place.substr(place.rfind('/') + 1)));
      }
      function.clear();
    }
  }
  return found;
}

/// Parts of the runtime that throw, abort or catch signals: not informative at the inner end of a stack.
bool is_machinery(const std::string& function, const std::string& module) {
  if (function.empty()) {  // a library without symbols
    for (std::string_view library : {"libc.so", "libstdc++.so", "libgcc_s.so"}) {
      if (module.find(library) != std::string::npos) return true;
    }
    return false;
  }
  for (std::string_view exact : {"raise", "gsignal", "abort", "pthread_kill", "kill", "__restore_rt", "exit"}) {
    if (function == exact) return true;
  }
  for (std::string_view part :
       {"__cxa_throw", "_Unwind_", "mf_watch_personality", "__cxa_rethrow", "std::rethrow_exception",
        "base::capture_stack", "on_fatal_signal", "std::__throw_", "allocation_failed", "operator new",
        "std::terminate", "__terminate", "__verbose_terminate_handler", "__gxx_personality", "__pthread_kill"}) {
    if (function.find(part) != std::string::npos) return true;
  }
  return false;
}

/// The qualified name in a printed function, without arguments and the return type that templates have:
/// "metaflow::detail::decode" of "void metaflow::detail::decode<int>(...)".
std::string_view qualified_name(std::string_view function) {
  constexpr std::string_view kAnonymous = "(anonymous namespace)";
  std::size_t begin = 0;
  int depth = 0;
  for (std::size_t i = 0; i < function.size(); ++i) {
    const char c = function[i];
    if (function.substr(i).starts_with(kAnonymous)) {
      i += kAnonymous.size() - 1;
    } else if (c == '<') {
      ++depth;
    } else if (c == '>') {
      --depth;
    } else if (depth == 0 && c == '(') {
      return function.substr(begin, i - begin);
    } else if (depth == 0 && c == ' ') {
      begin = i + 1;
    }
  }
  return function;
}

/// Whether a function belongs to this library, and not to a user's extension of it (Codec).
bool is_own(std::string_view function) {
  const std::string_view name = qualified_name(function);
  return name.starts_with("metaflow::") && !name.starts_with("metaflow::Codec<");
}

/// Collapses runs of equal lines.
std::vector<std::string> folded(const std::vector<std::string>& lines) {
  constexpr std::size_t kShown = 3;
  std::vector<std::string> result;
  for (std::size_t i = 0; i < lines.size();) {
    std::size_t end = i;
    while (end < lines.size() && lines[end] == lines[i]) ++end;
    for (std::size_t k = i; k < end && k < i + kShown; ++k) result.push_back(lines[k]);
    if (end - i > kShown) result.push_back(fmt::format("... and {} more times", end - i - kShown));
    i = end;
  }
  return result;
}

/// Frames of this library that call a step: the user's part of a stack ends there.
bool calls_steps(const std::string& function) {
  return function.find("metaflow::detail::run_step<") != std::string::npos ||
         function.find("metaflow::detail::run_with_item<") != std::string::npos ||
         function.find("mf_call_watched") != std::string::npos ||
         function.find("__libc_start_main") != std::string::npos || function == "_start";
}

}  // namespace

RawStack capture_stack() {
  RawStack stack;
  _Unwind_Backtrace(add_frame, &stack);
  return stack;
}

namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

/// Removes every template argument that begins with these words.
void remove_arguments(std::string& text, std::string_view begin) {
  for (std::size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at)) {
    int depth = 0;
    std::size_t end = at + begin.size() - 1;  // at the '<'
    do {
      if (text[end] == '<') ++depth;
      if (text[end] == '>') --depth;
      ++end;
    } while (depth > 0 && end < text.size());
    text.erase(at, end - at);
  }
}

}  // namespace

std::string demangle(const char* name) {
  int status = 0;
  char* text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  std::string result = status == 0 && text != nullptr ? text : name;
  std::free(text);
  replace_all(result, "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >", "std::string");
  remove_arguments(result, ", std::allocator<");
  replace_all(result, "std::__cxx11::", "std::");
  replace_all(result, " >", ">");
  result.resize(std::min(result.size(), result.find(" [clone ")));  // suffix of functions that the optimizer split
  return result;
}

std::vector<CodeLocation> locate(const RawStack& stack) {
  struct Search {
    std::uintptr_t address;
    CodeLocation found;
    bool first;
  };
  std::vector<CodeLocation> locations;
  for (std::size_t i = 0; i < stack.size; ++i) {
    Search search{reinterpret_cast<std::uintptr_t>(stack.frames[i]), {}, true};
    ::dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* argument) {
          auto& s = *static_cast<Search*>(argument);
          for (unsigned p = 0; p < info->dlpi_phnum; ++p) {
            const auto& segment = info->dlpi_phdr[p];
            const std::uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
            if (segment.p_type == PT_LOAD && s.address >= begin && s.address < begin + segment.p_memsz) {
              s.found.module = info->dlpi_name;
              s.found.address = s.address - info->dlpi_addr;
              return 1;
            }
          }
          return 0;
        },
        &search);
    if (search.found.module.empty()) search.found.module = own_image();
    locations.push_back(std::move(search.found));
  }
  return locations;
}

std::vector<std::string> describe(std::span<const CodeLocation> locations) {
  std::map<std::string, SymbolTable> tables;
  std::map<std::string, std::vector<std::uint64_t>> with_lines;
  for (const CodeLocation& location : locations) {
    const auto& table = tables.try_emplace(location.module, location.module).first->second;
    if (table.has_lines()) with_lines[location.module].push_back(location.address);
  }
  std::map<std::string, std::map<std::uint64_t, std::vector<std::string>>> lines;
  for (const auto& [module, addresses] : with_lines) lines[module] = lines_of(module, addresses);

  std::vector<std::string> text;
  std::vector<std::string> own;  // this library's frames at the inner end: shown only if there are no others
  auto add = [&](std::string line) {
    if (text.empty() && is_own(line)) {
      own.push_back(std::move(line));
    } else {
      text.push_back(std::move(line));
    }
  };
  auto result = [&] { return folded(text.empty() ? own : text); };
  for (const CodeLocation& location : locations) {
    const std::string function = tables.at(location.module).find(location.address);
    if (text.empty() && is_machinery(function, location.module)) continue;
    const auto& known = lines[location.module];
    const auto at = known.find(location.address);
    if (at != known.end()) {
      // A step inlined into the frame that calls it has its own line here, before that frame's line.
      for (const std::string& line : at->second) {
        if (calls_steps(line)) return result();
        add(line);
      }
    } else if (calls_steps(function)) {
      break;
    } else if (!function.empty()) {
      add(function);
    } else {
      add(fmt::format("{}+{:#x}", location.module.substr(location.module.rfind('/') + 1), location.address));
    }
  }
  return result();
}

}  // namespace metaflow::base
