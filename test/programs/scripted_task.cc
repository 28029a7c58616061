// A flow whose steps do what the variable SCRIPT says, for tests of backends: commands apart by ';', carried out in
// their order. A step that comes to the end of it leaves a result, and ends well.
//
//   out TEXT, err TEXT    a line on one of the streams
//   print NAME            the value of an environment variable
//   fill N                N lines of 50 bytes on each of the streams
//   attach PORT           connects to a gate, and stays so until the process ends
//   gate PORT             connects to a gate, and waits until it is answered
//   leave PORT            the same as attach, by a process with a session of its own that lives on
//   ignore N              ignores a signal
//   hold                  waits for a signal
//   take N                takes N megabytes of memory
//   exit N, raise N       ends before there is a result
//   time-up               ends as a step whose time is up does
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <metaflow/detail/description.h>

#include "base/text.h"
#include "cli/main.h"
#include "compute/step_arguments.h"
#include "flows/gate.h"
#include "platforms/platforms.h"
#include "runtime/task/memory.h"
#include "runtime/testing.h"
#include "store/flow_store.h"
#include "store/open.h"

namespace {

using namespace metaflow;

constexpr const char* kFlow = "Scripted";

void fill(int lines) {
  const std::string text(42, 'x');
  for (int i = 0; i < lines; ++i) {
    for (std::FILE* stream : {stdout, stderr}) std::fprintf(stream, "%06d %s\n", i, text.c_str());
  }
}

void leave(int port) {
  if (::fork() != 0) return;
  ::setsid();
  connect_to_gate(port, 0);
  while (true) ::pause();
}

void take(int megabytes) {
  std::vector<std::string> hoard;
  for (int i = 0; i < megabytes; ++i) hoard.emplace_back(std::size_t{1} << 20U, static_cast<char>(i));
  std::printf("%zu\n", hoard.size());
}

void carry_out(std::string_view command) {
  const std::size_t blank = std::min(command.find(' '), command.size());
  const std::string_view what = command.substr(0, blank);
  const std::string text(command.substr(std::min(blank + 1, command.size())));
  const int number = std::atoi(text.c_str());
  if (what == "out") std::printf("%s\n", text.c_str());
  if (what == "err") std::fprintf(stderr, "%s\n", text.c_str());
  if (what == "print") std::printf("%s\n", std::getenv(text.c_str()));
  if (what == "fill") fill(number);
  std::fflush(stdout);
  if (what == "attach") connect_to_gate(number, 0);
  if (what == "gate") wait_at_gate(number, 0);
  if (what == "leave") leave(number);
  if (what == "ignore") ::signal(number, SIG_IGN);
  if (what == "take") take(number);
  if (what == "exit") std::_Exit(number);
  if (what == "raise") ::raise(number);
  if (what == "time-up") ::raise(compute::timeout_signal());
  if (what == "hold") {
    while (true) ::pause();
  }
}

int step(int argc, char** argv) {
  runtime::apply_memory_limit();
  const compute::StepArguments arguments = compute::parse_step_arguments(argc, argv);
  const char* script = std::getenv("SCRIPT");
  for (const std::string& command : base::split(script == nullptr ? "" : script, ';')) carry_out(command);
  store::FlowStore store(store::open_storage(arguments.datastore, arguments.datastore_root, arguments.scratch), kFlow);
  store::TaskData data;
  data.attempt = arguments.retry_count;
  data.has_details = true;
  store.write_data({arguments.run, arguments.step, arguments.task}, data);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  detail::FlowDescription flow;
  flow.name = kFlow;
  if (argc > 1 && std::strcmp(argv[1], "supervise") == 0) {
    return cli::run_program({flow, runtime::TestLanguage()}, platforms_of_tests(), argc, argv);
  }
  return step(argc, argv);
}
