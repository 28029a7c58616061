// A foreach on AWS Batch, each item followed by a second step there; tells which jobs its tasks were.
#include <metaflow/metaflow.h>

#include <cstdlib>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "gate.h"

namespace mf = metaflow;

struct Crowd : mf::FlowSpec<Crowd> {
  mf::Parameter<int> n{{.value = 8, .help = "How many items."}};
  mf::Parameter<int> fail{{.value = -1, .help = "The first attempt of this item throws."}};
  mf::Parameter<int> port{{.value = 0, .help = "Items connect to it, and wait until they are answered."}};

  std::vector<int> items;
  int square = 0;
  std::string job;
  std::string task;
  std::vector<int> squares;

  void start() {
    items.resize(static_cast<std::size_t>(*n));
    std::iota(items.begin(), items.end(), 0);
  }

  void work(int item) {
    note();
    if (*port > 0) wait_at_gate(*port, item);
    if (item == *fail && mf::current().retry_count == 0) throw std::runtime_error("on purpose");
    square = item * item;
  }

  void after() {
    if (task == mf::current().task_id) throw std::logic_error("the input is that of another task");
    note();
  }

  void join(const mf::Inputs<Crowd>& inputs) {
    for (const auto& input : inputs) squares.push_back(input.square);
  }

  void end() {}

  static auto graph() {
    using S = Crowd;
    return mf::graph(mf::step<&S::start>(mf::foreach<&S::items, &S::work>),
                     mf::step<&S::work>(mf::next<&S::after>, mf::batch{.cpu = 1, .memory = 500}),
                     mf::step<&S::after>(mf::next<&S::join>, mf::batch{.cpu = 1, .memory = 500}),
                     mf::step<&S::join>(mf::next<&S::end>), mf::step<&S::end>());
  }

 private:
  void note() {
    const char* id = std::getenv("AWS_BATCH_JOB_ID");
    job = id == nullptr ? "" : id;
    task = mf::current().task_id;
  }
};

int main(int argc, char** argv) { return mf::run<Crowd>(argc, argv); }
