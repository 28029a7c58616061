// The flow of trivial.cc with a list that is a plain member, so that every task reads all of it.
#include <metaflow/metaflow.h>

#include <numeric>
#include <vector>

namespace mf = metaflow;

namespace {

struct PlainList : mf::FlowSpec<PlainList> {
  mf::Parameter<int> n{{.value = 10, .help = "How many tasks."}};
  std::vector<int> items;
  int value = 0;

  void start() {
    items.resize(static_cast<std::size_t>(*n));
    std::iota(items.begin(), items.end(), 0);
  }
  void work(int item) { value = item; }
  void join(const mf::Inputs<PlainList>&) {}
  void end() {}

  static auto graph() {
    using P = PlainList;
    return mf::graph(mf::step<&P::start>(mf::foreach<&P::items, &P::work>), mf::step<&P::work>(mf::next<&P::join>),
                     mf::step<&P::join>(mf::next<&P::end>), mf::step<&P::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<PlainList>(argc, argv); }
