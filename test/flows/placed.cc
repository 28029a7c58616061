// A flow of which one step is executed on a cluster, and does what the parameters say.
#include <metaflow/metaflow.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <thread>
#include <vector>

#include "gate.h"

namespace mf = metaflow;

struct Placed : mf::FlowSpec<Placed> {
  mf::Parameter<int> n{{.value = 2, .help = "How many tasks."}};
  mf::Parameter<std::string> fail{{.value = "", .help = "What goes wrong: throw, crash, exit, sleep."}};
  mf::Parameter<int> until{{.value = 1, .help = "From this attempt on nothing does."}};
  mf::Parameter<int> seconds{{.value = 0, .help = "How long each works; it prints a line each second."}};
  mf::Parameter<int> port{{.value = 0, .help = "Tasks connect to it, and wait until they are answered."}};
  mf::Parameter<std::string> host{{.value = "127.0.0.1", .help = "Where that port is."}};

  std::vector<int> items;
  std::string place;  // where the last step was executed
  int square = 0;
  int attempt = -1;
  unsigned cpus = 0;
  std::vector<int> squares;
  std::vector<std::string> places;

  void start() {
    for (int i = 0; i < *n; ++i) items.push_back(i);
    note();
  }

  void work(int item) {
    note();
    std::printf("working on %d\n", item);
    std::fprintf(stderr, "attempt %d\n", attempt);
    std::fflush(stdout);
    if (*port > 0) wait_at_gate(*port, item, *host);
    for (int i = 1; i <= *seconds; ++i) {
      std::this_thread::sleep_for(std::chrono::seconds(1));
      std::printf("item %d second %d\n", item, i);
      std::fflush(stdout);
    }
    if (attempt < *until) go_wrong();
    square = item * item;
  }

  void join(const mf::Inputs<Placed>& inputs) {
    for (const auto& input : inputs) {
      squares.push_back(input.square);
      places.push_back(input.place);
    }
    note();
  }

  void end() { std::printf("%zu squares\n", squares.size()); }

  static auto graph() {
    using S = Placed;
    return mf::graph(mf::step<&S::start>(mf::foreach<&S::items, &S::work>),
                     mf::step<&S::work>(mf::next<&S::join>, mf::resources{.cpu = 0.25, .memory = 100},
                                        mf::kubernetes{.cpu = 0.1, .memory = 64, .disk = 100}),
                     mf::step<&S::join>(mf::next<&S::end>), mf::step<&S::end>());
  }

 private:
  void note() {
    place = std::getenv("METAFLOW_KUBERNETES_WORKLOAD") != nullptr ? "pod" : "here";
    attempt = mf::current().retry_count;
    cpus = mf::current().cpus();
  }

  void go_wrong() {
    if (*fail == "throw") throw std::runtime_error("on purpose");
    if (*fail == "crash") std::abort();
    if (*fail == "exit") std::_Exit(7);
    if (*fail == "sleep") std::this_thread::sleep_for(std::chrono::hours(1));
  }
};

int main(int argc, char** argv) { return mf::run<Placed>(argc, argv); }
