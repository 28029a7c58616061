#include "runtime/task/failure.h"

#include <cxxabi.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <new>
#include <utility>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "base/process.h"
#include "base/text.h"
#include "base/utf8.h"
#include "compute/step_arguments.h"
#include "runtime/task/memory.h"

namespace metaflow::runtime {

namespace {

thread_local base::RawStack thrown_from;

}  // namespace

// The unwinder calls the personality routine of every frame before it unwinds any frame: at that moment the whole stack
// still exists. mf_call_watched is a frame with a personality routine of ours.
extern "C" __attribute__((used, visibility("hidden"))) _Unwind_Reason_Code mf_watch_personality(
    int, _Unwind_Action actions, _Unwind_Exception_Class, _Unwind_Exception*, _Unwind_Context*) {
  if ((actions & _UA_SEARCH_PHASE) != 0) thrown_from = base::capture_stack();
  return _URC_CONTINUE_UNWIND;
}

#if defined(__x86_64__)
extern "C" void mf_call_watched(void (*f)(void*), void* argument);
asm(R"(
  .text
  .hidden mf_call_watched
  .globl mf_call_watched
  .type mf_call_watched, @function
mf_call_watched:
  .cfi_startproc
  .cfi_personality 0x1b, mf_watch_personality
  pushq %rbp
  .cfi_def_cfa_offset 16
  .cfi_offset %rbp, -16
  movq %rsp, %rbp
  .cfi_def_cfa_register %rbp
  movq %rdi, %rax
  movq %rsi, %rdi
  call *%rax
  popq %rbp
  .cfi_def_cfa %rsp, 8
  ret
  .cfi_endproc
  .size mf_call_watched, .-mf_call_watched
)");
#elif defined(__aarch64__)
extern "C" void mf_call_watched(void (*f)(void*), void* argument);
asm(R"(
  .text
  .hidden mf_call_watched
  .globl mf_call_watched
  .type mf_call_watched, %function
mf_call_watched:
  .cfi_startproc
  .cfi_personality 0x1b, mf_watch_personality
  stp x29, x30, [sp, -16]!
  .cfi_def_cfa_offset 16
  .cfi_offset 29, -16
  .cfi_offset 30, -8
  mov x29, sp
  mov x2, x0
  mov x0, x1
  blr x2
  ldp x29, x30, [sp], 16
  .cfi_restore 29
  .cfi_restore 30
  .cfi_def_cfa_offset 0
  ret
  .cfi_endproc
  .size mf_call_watched, .-mf_call_watched
)");
#else
static void mf_call_watched(void (*f)(void*), void* argument) { f(argument); }
#endif

void call_watched(void (*f)(void*), void* argument) {
  thrown_from.size = 0;
  mf_call_watched(f, argument);
}

std::string Failure::summary() const { return message.empty() ? type : type + ": " + message; }

CaughtException Failure::as_caught() const {
  if (!report.empty()) return {type, message, report};
  std::string lines = summary();
  for (const std::string& line : stack) lines += "\n" + line;
  return {type, message, lines};
}

Failure describe_current_exception() {
  Failure failure;
  failure.stack = base::describe(base::locate(thrown_from));
  const std::type_info* type = abi::__cxa_current_exception_type();
  failure.type = type != nullptr ? base::demangle(type->name()) : "a non-C++ exception";
  try {
    throw;
  } catch (const Error& error) {
    failure.type = error.headline();
    failure.message = error.what();
  } catch (const std::bad_alloc& error) {
    failure.type = "Out of memory";
    failure.message = describe_failed_allocation();
  } catch (const std::exception& error) {
    failure.message = error.what();
  } catch (const std::string& text) {
    failure.message = text;
  } catch (const char* text) {
    failure.message = text;
  } catch (int number) {
    failure.message = std::to_string(number);
  } catch (...) {
  }
  failure.message = base::replace_invalid_utf8(failure.message);
  return failure;
}

// --- fatal signals

namespace {

constexpr std::size_t kLongestCommand = 8;  // of base::own_command
constexpr std::array kFatal{SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
/// Never freed: a static destructor may crash.
const std::vector<std::string>* own_command = nullptr;
const std::string* own_image = nullptr;
posix_spawn_file_actions_t output_to_error;

/// Builds a text without allocating.
class Line {
 public:
  Line& operator<<(const char* text) {
    while (*text != '\0' && size_ + 1 < text_.size()) text_[size_++] = *text++;
    return *this;
  }
  Line& hex(std::uint64_t number) {
    std::array<char, 17> digits{};
    std::size_t i = 16;
    do {
      digits[--i] = "0123456789abcdef"[number & 15];
      number >>= 4;
    } while (number != 0);
    return *this << "0x" << &digits[i];
  }
  char* text() {
    text_[size_] = '\0';
    return text_.data();
  }

 private:
  std::array<char, 1024> text_{};
  std::size_t size_ = 0;
};

struct Frames {
  std::array<Line, 48> lines;
  std::size_t count = 0;
};

/// Writes module+0xaddress for each frame, as arguments of `symbolize`.
void locate_frames(const base::RawStack& stack, Frames& frames) {
  for (std::size_t i = 0; i < stack.size && frames.count < frames.lines.size(); ++i) {
    struct Search {
      std::uintptr_t address;
      Line* line;
      bool found;
    } search{reinterpret_cast<std::uintptr_t>(stack.frames[i]), &frames.lines[frames.count], false};
    ::dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* argument) {
          auto& s = *static_cast<Search*>(argument);
          for (unsigned p = 0; p < info->dlpi_phnum; ++p) {
            const auto& segment = info->dlpi_phdr[p];
            const std::uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
            if (segment.p_type != PT_LOAD || s.address < begin || s.address >= begin + segment.p_memsz) continue;
            *s.line << (info->dlpi_name != nullptr && *info->dlpi_name != '\0' ? info->dlpi_name : own_image->c_str())
                    << "+";
            s.line->hex(s.address - info->dlpi_addr);
            s.found = true;
            return 1;
          }
          return 0;
        },
        &search);
    if (search.found) ++frames.count;
  }
}

/// Prints the stack of the calling thread, from within a signal handler.
void print_stack() {
  if (own_command == nullptr) return;
  static Frames frames;
  const base::RawStack stack = base::capture_stack();
  locate_frames(stack, frames);
  static std::array<char*, kLongestCommand + std::tuple_size_v<decltype(frames.lines)> + 2> argv{};
  static char command[] = "symbolize";
  std::size_t words = 0;
  for (const std::string& word : *own_command) argv[words++] = const_cast<char*>(word.c_str());
  argv[words++] = command;
  for (std::size_t i = 0; i < frames.count; ++i) argv[words++] = frames.lines[i].text();
  argv[words] = nullptr;
  // posix_spawn shares memory with its child instead of copying it, and allocates nothing.
  pid_t pid = 0;
  const char* const program = own_command->size() == 1 ? own_image->c_str() : argv[0];
  if (::posix_spawn(&pid, program, &output_to_error, nullptr, argv.data(), environ) == 0) {
    for (int i = 0; i < 200; ++i) {  // ten seconds at most
      if (::waitpid(pid, nullptr, WNOHANG) != 0) break;
      ::usleep(50'000);
    }
    ::kill(pid, SIGKILL);
  }
}

void write_error(const char* text) { [[maybe_unused]] const ssize_t written = ::write(2, text, std::strlen(text)); }

void on_fatal_signal(int number, siginfo_t* info, void*) {
  // A second fault in this handler kills the process at once.
  for (int fatal : kFatal) ::signal(fatal, SIG_DFL);

  Line line;
  line << "Fatal signal "
       << (number == SIGSEGV  ? "SIGSEGV (segmentation fault)"
           : number == SIGBUS ? "SIGBUS (bus error)"
           : number == SIGFPE ? "SIGFPE (arithmetic error)"
           : number == SIGILL ? "SIGILL (illegal instruction)"
                              : "SIGABRT (abort)");
  if (number == SIGSEGV || number == SIGBUS) {
    line << " at address ";
    line.hex(reinterpret_cast<std::uintptr_t>(info->si_addr));
  }
  line << "\n";
  write_error(line.text());
  print_stack();
  ::raise(number);  // delivered when the handler returns, with the default action
}

std::array<char, 256> timeout_message{};
std::function<void()>* save_at_timeout = nullptr;  // never freed

void save_in_another_process() {
  constexpr int kMostTime = 4'000'000;  // microseconds; the scheduler limits the time, too
  constexpr int kLook = 5'000;
  const pid_t parent = ::getpid();
  const pid_t child = ::_Fork();
  if (child == 0) {
    base::die_with_parent(parent);
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    try {
      (*save_at_timeout)();
    } catch (...) {  // nothing is saved
    }
    ::_exit(0);
  }
  if (child < 0) return;
  for (int waited = 0; waited < kMostTime; waited += kLook) {
    if (::waitpid(child, nullptr, WNOHANG) != 0) return;
    ::usleep(kLook);
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

void on_timeout(int number) {
  for (int fatal : kFatal) ::signal(fatal, SIG_DFL);
  ::signal(number, SIG_DFL);
  write_error(timeout_message.data());
  write_error("Stack at the timeout:\n");
  print_stack();
  if (save_at_timeout != nullptr) save_in_another_process();
  ::raise(number);
}

}  // namespace

void install_crash_handler(const std::vector<std::string>& command) {
  ::posix_spawn_file_actions_init(&output_to_error);
  ::posix_spawn_file_actions_adddup2(&output_to_error, 2, 1);
  if (command.empty() || command.size() > kLongestCommand) return;
  own_command = new std::vector<std::string>(command);
  own_image = new std::string(base::own_image());
  // A separate stack, since a stack overflow leaves no room on the normal one. The handler that saves at a timeout uses
  // it, too.
  static constexpr std::size_t kSize = 1024 * 1024;
  void* memory = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
  stack_t stack{};
  stack.ss_sp = memory;
  stack.ss_size = kSize;
  ::sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_sigaction = on_fatal_signal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  for (int fatal : kFatal) ::sigaction(fatal, &action, nullptr);
}

namespace {

timer_t timeout_timer;
volatile std::sig_atomic_t timeout_armed = 0;

/// Stops this process, and the clock of its timeout.
void on_suspension(int) {
  const int before = errno;
  itimerspec left{};
  const itimerspec never{};
  const bool armed = timeout_armed != 0 && ::timer_settime(timeout_timer, 0, &never, &left) == 0;
  ::raise(SIGSTOP);
  if (armed && timeout_armed != 0) ::timer_settime(timeout_timer, 0, &left, nullptr);
  errno = before;
}

}  // namespace

void arm_timeout(std::int64_t microseconds, const std::string& message, std::function<void()> save) {
  if (save && kSavesAtTimeout) save_at_timeout = new std::function<void()>(std::move(save));
  std::snprintf(timeout_message.data(), timeout_message.size(), "%s\n", message.c_str());
  const int number = compute::timeout_signal();
  struct sigaction action {};
  action.sa_handler = on_timeout;
  action.sa_flags = SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  ::sigaction(number, &action, nullptr);
  sigset_t unblocked;
  sigemptyset(&unblocked);
  sigaddset(&unblocked, number);
  ::pthread_sigmask(SIG_UNBLOCK, &unblocked, nullptr);
  // The signal goes to this thread, which executes the step: its stack is printed.
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = number;
  event._sigev_un._tid = static_cast<pid_t>(::syscall(SYS_gettid));
  if (::timer_create(CLOCK_MONOTONIC, &event, &timeout_timer) != 0) return;  // the scheduler limits the time, too
  itimerspec time{};
  time.it_value.tv_sec = microseconds / 1'000'000;
  time.it_value.tv_nsec = microseconds % 1'000'000 * 1000;
  timeout_armed = ::timer_settime(timeout_timer, 0, &time, nullptr) == 0 ? 1 : 0;
  if (base::is_ignored(SIGTSTP)) return;
  struct sigaction suspension {};
  suspension.sa_handler = on_suspension;
  suspension.sa_flags = SA_RESTART;
  sigemptyset(&suspension.sa_mask);
  ::sigaction(SIGTSTP, &suspension, nullptr);
}

void disarm_timeout() {
  if (timeout_armed == 0) return;
  timeout_armed = 0;
  ::timer_delete(timeout_timer);
}

int symbolize(int argc, char** argv) {
  std::vector<base::CodeLocation> locations;
  for (int i = 2; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const std::size_t plus = argument.rfind('+');
    if (plus == std::string_view::npos) continue;
    locations.push_back({std::string(argument.substr(0, plus)),
                         std::strtoull(std::string(argument.substr(plus + 1)).c_str(), nullptr, 16)});
  }
  const auto lines = base::describe(locations);
  for (std::size_t i = 0; i < lines.size(); ++i) fmt::print("    {}{}\n", i == 0 ? "in " : "called by ", lines[i]);
  return 0;
}

}  // namespace metaflow::runtime
