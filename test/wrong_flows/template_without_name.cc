// expect: metaflow: a flow that is a template needs a name: static constexpr auto flow_name = "..."
// names: Sweep<double>
#include <metaflow/metaflow.h>

namespace mf = metaflow;

template <class T>
struct Sweep : mf::FlowSpec<Sweep<T>> {
  T result{};
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep<double>>(argc, argv); }
