// The lower bound for every runner of processes: a loop of posix_spawn and wait that reads and writes nothing.
//
// usage: spawn_loop COUNT PARALLEL PROGRAM [ARGUMENT...]
#include <spawn.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

extern char** environ;

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: spawn_loop COUNT PARALLEL PROGRAM [ARGUMENT...]\n");
    return 2;
  }
  const long count = std::atol(argv[1]);
  const long parallel = std::atol(argv[2]);
  long running = 0;
  for (long done = 0, started = 0; done < count;) {
    if (started < count && running < parallel) {
      pid_t pid = 0;
      const int error = ::posix_spawn(&pid, argv[3], nullptr, nullptr, argv + 3, environ);
      if (error != 0) {
        std::fprintf(stderr, "spawn_loop: %s: %s\n", argv[3], std::strerror(error));
        return 1;
      }
      ++started;
      ++running;
      continue;
    }
    int status = 0;
    if (::wait(&status) < 0 || status != 0) {
      std::fprintf(stderr, "spawn_loop: %s failed\n", argv[3]);
      return 1;
    }
    --running;
    ++done;
  }
}
