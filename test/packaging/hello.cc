#include <metaflow/metaflow.h>

#include <cstdio>
#include <vector>

namespace mf = metaflow;

struct Hello : mf::FlowSpec<Hello> {
  mf::Parameter<int> n{{.value = 3, .help = "How many numbers to square."}};
  std::vector<int> numbers;
  int square = 0;
  int sum = 0;

  void start() {
    for (int i = 1; i <= *n; ++i) numbers.push_back(i);
  }

  void work(int number) { square = number * number; }

  void join(const mf::Inputs<Hello>& inputs) {
    for (int s : inputs.each(&Hello::square)) sum += s;
  }

  void end() { std::printf("The sum of the squares is %d.\n", sum); }

  static auto graph() {
    return mf::graph(mf::step<&Hello::start>(mf::foreach<&Hello::numbers, &Hello::work>),
                     mf::step<&Hello::work>(mf::next<&Hello::join>), mf::step<&Hello::join>(mf::next<&Hello::end>),
                     mf::step<&Hello::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Hello>(argc, argv); }
