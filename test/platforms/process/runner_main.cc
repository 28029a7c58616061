// process_runner SPOOL: says when it is ready, and executes the jobs of a spool until it is killed.
#include <cstdio>

#include <metaflow/error.h>

#include "base/process.h"
#include "platforms/process/runner.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: process_runner SPOOL\n", stderr);
    return 2;
  }
  try {
    metaflow::base::SystemClock clock;
    metaflow::base::EventLoop loop(clock);
    const metaflow::process_platform::Runner runner(loop, clock, argv[1]);
    std::puts("ready");
    std::fflush(stdout);
    while (true) loop.run_once();
  } catch (const metaflow::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
