// A foreach whose tasks are pods, between local steps.
#include <metaflow/metaflow.h>

#include <numeric>
#include <vector>

namespace mf = metaflow;

namespace {

struct Remote : mf::FlowSpec<Remote> {
  mf::Parameter<int> n{{.value = 10, .help = "How many tasks."}};
  mf::Lazy<std::vector<int>> items;

  void start() {
    auto& numbers = items.edit();
    numbers.resize(static_cast<std::size_t>(*n));
    std::iota(numbers.begin(), numbers.end(), 0);
  }
  void work(int) {}
  void join(const mf::Inputs<Remote>&) {}
  void end() {}

  static auto graph() {
    using R = Remote;
    return mf::graph(mf::step<&R::start>(mf::foreach<&R::items, &R::work>),
                     mf::step<&R::work>(mf::next<&R::join>, mf::kubernetes{.cpu = 0.1, .memory = 64, .disk = 64}),
                     mf::step<&R::join>(mf::next<&R::end>), mf::step<&R::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Remote>(argc, argv); }
