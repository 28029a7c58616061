// expect: metaflow: at names the step that leads to the join: inputs.at<&Flow::left>()
// names: x
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  int x = 0;
  void start() {}
  void a() {}
  void b() {}
  void join(const mf::Inputs<Sweep>& inputs) { x = inputs.at<&Sweep::x>().x; }
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::next<&S::a, &S::b>), mf::step<&S::a>(mf::next<&S::join>),
                     mf::step<&S::b>(mf::next<&S::join>), mf::step<&S::join>(mf::next<&S::end>), mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
