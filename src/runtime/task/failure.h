// What a step threw, in words.
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

/// Whether arm_timeout() calls `save`: not under ThreadSanitizer, which takes the other process for the handler.
#if defined(__SANITIZE_THREAD__) || MF_HAS_FEATURE(thread_sanitizer)
inline constexpr bool kSavesAtTimeout = false;
#else
inline constexpr bool kSavesAtTimeout = true;
#endif
#undef MF_HAS_FEATURE

/// An exception that ended a step.
struct Failure {
  std::string type;     // "std::out_of_range"; Metaflow's headline for our own errors
  std::string message;  // what()
  std::vector<std::string> stack;

  /// "std::out_of_range: index 3", the first line of what the user sees.
  std::string summary() const;
  CaughtException as_caught() const;
};

/// Calls `f(argument)`; if it throws, notes the stack as it was at the throw (it is gone when a handler runs).
void call_watched(void (*f)(void*), void* argument);

/// Describes the exception that is being handled; its stack is the one that call_watched noted.
Failure describe_current_exception();

/// Makes fatal signals (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT) print a stack before the process dies of them.
/// `command`: the words that start this program again, its path the last of them (the stack is looked up by a new
/// process: the dying one cannot be trusted with memory).
void install_crash_handler(const std::vector<std::string>& command);

/// Ends this process after so many microseconds: it says so, prints the stack of this thread, and dies of
/// compute::timeout_signal(). While this process is stopped by SIGTSTP the time stands still.
///
/// `save`, or null: called before it dies, in a process of its own that has all memory as it was (a signal handler may
/// not do what saving needs, and the step's other threads would go on meanwhile). Where that process does not end
/// within 4 s, because the step was stopped in the middle of what saving needs, or of changing what is saved, it is
/// killed, and the rest goes on.
void arm_timeout(std::int64_t microseconds, const std::string& message, std::function<void()> save);
void disarm_timeout();

/// The hidden command `symbolize`, which that process executes: module+0xaddress per argument.
int symbolize(int argc, char** argv);

}  // namespace metaflow::runtime
