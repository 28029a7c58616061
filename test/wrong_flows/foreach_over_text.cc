// expect: metaflow: foreach needs a range: a vector, array, list, set, map or mf::Array
// names: start word
#include <metaflow/metaflow.h>

#include <string>

namespace mf = metaflow;

struct Sweep : mf::FlowSpec<Sweep> {
  std::string word = "abc";
  void start() {}
  void work(char) {}
  void join(const mf::Inputs<Sweep>&) {}
  void end() {}
  static auto graph() {
    using S = Sweep;
    return mf::graph(mf::step<&S::start>(mf::foreach<&S::word, &S::work>), mf::step<&S::work>(mf::next<&S::join>),
                     mf::step<&S::join>(mf::next<&S::end>), mf::step<&S::end>());
  }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
