// How a step failed: exceptions, fatal signals and timeouts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <metaflow/caught.h>

#include "base/stacktrace.h"

#if defined(__has_feature)
#define MF_HAS_FEATURE(x) __has_feature(x)
#else
#define MF_HAS_FEATURE(x) 0
#endif

namespace metaflow::runtime {

/// Whether arm_timeout() calls `save`. Not under ThreadSanitizer, which takes the forked process for the signal
/// handler.
#if defined(__SANITIZE_THREAD__) || MF_HAS_FEATURE(thread_sanitizer)
inline constexpr bool kSavesAtTimeout = false;
#else
inline constexpr bool kSavesAtTimeout = true;
#endif
#undef MF_HAS_FEATURE

/// An exception that ended a step.
struct Failure {
  std::string type;     // "std::out_of_range"; for our own errors Metaflow's headline
  std::string message;  // what()
  std::vector<std::string> stack;
  std::string report{};  // of another language: its own text for summary and stack

  /// "std::out_of_range: index 3": the first line that the user sees.
  std::string summary() const;
  CaughtException as_caught() const;
};

/// Calls `f(argument)`. If it throws, records the stack at the throw, which no longer exists when a handler runs.
void call_watched(void (*f)(void*), void* argument);

/// Describes the exception that is being handled, with the stack that call_watched recorded.
Failure describe_current_exception();

/// Makes fatal signals (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT) print a stack before the process dies. `command`: the
/// command that starts this program again; its path is the last word. A new process looks up the symbols, because the
/// memory of the dying one may be corrupt.
void install_crash_handler(const std::vector<std::string>& command);

/// Ends this process after so many microseconds: prints `message` and the stack of this thread, and dies of
/// compute::timeout_signal(). The time does not advance while this process is stopped by SIGTSTP.
///
/// `save`, or null: called before the process dies, in a forked process that has a copy of its memory. A signal handler
/// may not do what saving requires, and the other threads of the step would continue meanwhile. The forked process is
/// killed if it does not end within 4 s: the step may have been interrupted while it held a lock that saving requires,
/// or while it changed a value that is saved. This process dies in any case.
void arm_timeout(std::int64_t microseconds, const std::string& message, std::function<void()> save);
void disarm_timeout();

/// The hidden command `symbolize`, which the new process executes: one module+0xaddress per argument.
int symbolize(int argc, char** argv);

}  // namespace metaflow::runtime
