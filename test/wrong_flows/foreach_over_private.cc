// expect: metaflow: foreach and choose read an artifact of this flow; this member is not one
// names: start items
#include <metaflow/metaflow.h>

#include <vector>

namespace mf = metaflow;

class Sweep : public mf::FlowSpec<Sweep> {
 public:
  double result = 0;
  static auto artifacts() { return mf::members<&Sweep::result>; }
  void start() {}
  void work(double) {}
  void join(const mf::Inputs<Sweep>&) {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::foreach<&S::items, &S::work>), mf::step<&S::work>(mf::next<&S::join>),
                     mf::step<&S::join>(mf::next<&S::end>), mf::step<&S::end>());
  }

 private:
  std::vector<double> items;
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
