// A foreach whose tasks are processes of a runner, each followed by a second one; the rest of it is executed here.
#include <metaflow/metaflow.h>

#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "flows/gate.h"
#include "platforms/process/place.h"
#include "platforms/process/process.h"

namespace mf = metaflow;

struct Crew : mf::FlowSpec<Crew> {
  mf::Parameter<int> n{{.value = 2, .help = "How many items."}};
  mf::Parameter<int> fail{{.value = -1, .help = "The first attempt of this item throws."}};
  mf::Parameter<int> port{{.value = 0, .help = "Items connect to it, and wait until they are answered."}};

  std::vector<int> items;
  int square = 0;
  std::string job;  // of the last step
  std::vector<int> squares;

  void start() {
    items.resize(static_cast<std::size_t>(*n));
    std::iota(items.begin(), items.end(), 0);
    note();
  }

  void work(int item) {
    note();
    std::printf("working on %d\n", item);
    std::fflush(stdout);
    if (*port > 0) wait_at_gate(*port, item);
    if (item == *fail && mf::current().retry_count == 0) throw std::runtime_error("on purpose");
    square = item * item;
  }

  void after() { note(); }

  void join(const mf::Inputs<Crew>& inputs) {
    for (const auto& input : inputs) squares.push_back(input.square);
    note();
  }

  void end() {}

  static auto graph() {
    using S = Crew;
    return mf::graph(mf::step<&S::start>(mf::foreach<&S::items, &S::work>),
                     mf::step<&S::work>(mf::next<&S::after>, mf::process{.slots = 3}),
                     mf::step<&S::after>(mf::next<&S::join>, mf::process{}), mf::step<&S::join>(mf::next<&S::end>),
                     mf::step<&S::end>());
  }

 private:
  void note() {
    const char* id = std::getenv(mf::process_platform::kJobVariable);
    job = id == nullptr ? "" : id;
  }
};

int main(int argc, char** argv) { return mf::run<Crew>(argc, argv); }
