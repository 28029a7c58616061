// A foreach of N tasks that do nothing, and a join that reads one artifact of each.
#include <metaflow/metaflow.h>

#include <cstdio>
#include <numeric>
#include <vector>

#include "stamp.h"

namespace mf = metaflow;

namespace {

struct Trivial : mf::FlowSpec<Trivial> {
  mf::Parameter<int> n{{.value = 10, .help = "How many tasks."}};
  mf::Lazy<std::vector<int>> items;  // lazy: a task reads its own item, not the list
  int value = 0;

  void start() {
    auto& numbers = items.edit();
    numbers.resize(static_cast<std::size_t>(*n));
    std::iota(numbers.begin(), numbers.end(), 0);
  }
  void work(int item) { value = item; }
  void join(const mf::Inputs<Trivial>& inputs) {
    stamp("opened");
    long total = 0;
    for (int each : inputs.each(&Trivial::value)) total += each;
    stamp("joined");
    std::printf("%ld\n", total);
  }
  void end() {}

  static auto graph() {
    using T = Trivial;
    return mf::graph(mf::step<&T::start>(mf::foreach<&T::items, &T::work>), mf::step<&T::work>(mf::next<&T::join>),
                     mf::step<&T::join>(mf::next<&T::end>), mf::step<&T::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Trivial>(argc, argv); }
