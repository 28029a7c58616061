// As many tasks side by side as you like; later items finish first.
#include <metaflow/metaflow.h>

#include <cstdio>
#include <numeric>
#include <vector>

namespace mf = metaflow;

namespace {

struct Wide : mf::FlowSpec<Wide> {
  mf::Parameter<int> width{{.value = 4, .help = "How many tasks."}};
  std::vector<int> items;
  int value = 0;
  std::vector<int> values;

  void start() {
    items.resize(static_cast<std::size_t>(*width));
    std::iota(items.rbegin(), items.rend(), 0);
  }
  void work(int item) { value = item; }
  void join(const mf::Inputs<Wide>& inputs) {
    for (int each : inputs.each(&Wide::value)) values.push_back(each);
  }
  void end() { std::printf("%zu values\n", values.size()); }

  static auto graph() {
    using W = Wide;
    return mf::graph(mf::step<&W::start>(mf::foreach<&W::items, &W::work>), mf::step<&W::work>(mf::next<&W::join>),
                     mf::step<&W::join>(mf::next<&W::end>), mf::step<&W::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Wide>(argc, argv); }
