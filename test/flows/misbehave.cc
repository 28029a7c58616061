// A step that does what steps should not do; --how says what.
#include <metaflow/metaflow.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace mf = metaflow;

namespace {

struct OwnException : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[gnu::noinline]] int deep(int n) {
  volatile char room[1000];
  room[0] = static_cast<char>(n);
  return n == 0 ? room[0] : deep(n - 1) + room[0];
}

[[gnu::noinline]] void throw_from_below(const std::string& words) { throw OwnException(words); }

volatile int* volatile nowhere = nullptr;

bool crash_at_exit = false;
struct CrashAtExit {
  ~CrashAtExit() {
    if (crash_at_exit) ::raise(SIGSEGV);
  }
} at_exit;

/// A process that lives on, as a daemon would.
void leave_grandchild(bool own_session) {
  if (::fork() == 0) {
    if (own_session) ::setsid();
    ::execlp("sleep", "sleep", "1000", nullptr);
    ::_exit(127);
  }
}

}  // namespace

struct Misbehave : mf::FlowSpec<Misbehave> {
  mf::Parameter<std::string> how{{.value = "well", .help = "What the middle step does."}};
  mf::Parameter<int> lines{{.value = 1000, .help = "Lines to print."}};
  int before = 0;
  int after = 0;
  std::string text;
  std::vector<int> items;

  void start() { items = {0, 1, 2}; }

  void middle() {
    const std::string& what = *how;
    before = 1;
    std::printf("about to do: %s\n", what.c_str());
    if (what == "throw") throw_from_below("boom");
    if (what == "throw_int") throw 42;
    if (what == "throw_mf") throw mf::Error(mf::ErrorCode::invalid_value, "a message", "and a hint");
    if (what == "library") before = mf::current().input<int>();  // there is no foreach here
    if (what == "segv") *nowhere = 1;
    if (what == "abort") std::abort();
    if (what == "fpe") ::raise(SIGFPE);
    if (what == "overflow") std::printf("%d\n", deep(100'000'000));
    if (what == "exit0") std::exit(0);
    if (what == "exit3") std::exit(3);
    if (what == "_exit0") ::_exit(0);
    if (what == "kill") ::kill(::getpid(), SIGKILL);
    if (what == "term") ::kill(::getpid(), SIGTERM);
    if (what == "oom") {
      std::vector<std::string> hoard;
      while (true) hoard.emplace_back(50'000'000, 'x');
    }
    if (what == "oom_of_a_child") {
      const pid_t child = ::fork();
      if (child == 0) {
        std::vector<std::string> hoard;
        while (true) hoard.emplace_back(5'000'000, 'x');
      }
      int status = 0;
      ::waitpid(child, &status, 0);
      throw std::runtime_error("the helper has died");
    }
    if (what == "long_line") {
      for (int piece = 0; piece < 20; ++piece) {
        std::printf("%s", std::string(10'000, 'x').c_str());
        std::fflush(stdout);
        std::fprintf(stderr, "beside it %d\n", piece);
      }
      std::printf(" end\n");
    }
    if (what == "huge") text.resize(std::size_t{1} << 45);
    if (what == "thread") std::thread([] { throw std::logic_error("in a thread"); }).join();
    if (what == "noexcept") []() noexcept { throw_from_below("out of noexcept"); }();
    if (what == "at_exit") crash_at_exit = true;
    if (what == "not_utf8") text = "\xff\xfe";
    if (what == "sleep") {
      std::printf("sleeping\n");
      std::fflush(stdout);
      ::sleep(1000);
    }
    if (what == "stubborn") {
      ::signal(SIGTERM, SIG_IGN);
      std::printf("ignoring\n");
      std::fflush(stdout);
      while (true) ::sleep(1000);
    }
    if (what == "forked_copy") {
      const pid_t child = ::fork();
      if (child == 0) {
        before = 666;
        return;
      }
      ::waitpid(child, nullptr, 0);
    }
    if (what == "grandchild") leave_grandchild(false);
    if (what == "daemon") leave_grandchild(true);
    if (what == "daemon_and_sleep") {
      leave_grandchild(true);
      std::printf("left\n");
      std::fflush(stdout);
      ::sleep(1000);
    }
    if (what == "read_stdin") std::printf("read %zd bytes\n", ::read(0, &before, 1));
    if (what == "bytes") std::fwrite("a\xff\xc3(b\0c\r\nlast without newline", 1, 29, stdout);
    if (what == "no_newline") {
      const std::string block(1'000'000, 'x');
      for (int i = 0; i < *lines; ++i) std::fwrite(block.data(), 1, block.size(), stdout);
    }
    if (what == "flood") {
      for (int i = 0; i < *lines; ++i) {
        std::printf("line %d of the standard output\n", i);
        if (i % 10 == 0) std::fprintf(stderr, "line %d of the error output\n", i);
      }
    }
    after = 1;
  }

  void end() {}

  static auto graph() {
    using M = Misbehave;
    return mf::graph(mf::step<&M::start>(mf::next<&M::middle>), mf::step<&M::middle>(mf::next<&M::end>),
                     mf::step<&M::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Misbehave>(argc, argv); }
