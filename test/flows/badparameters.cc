// Parameters whose names break a rule that the compiler does not see.
#include <metaflow/metaflow.h>

namespace mf = metaflow;

namespace {

struct Reserved : mf::FlowSpec<Reserved> {
  mf::Parameter<int> workers{{.value = 1, .name = "max_workers"}};
  void start() {}
  static auto graph() { return mf::graph(mf::step<&Reserved::start>()); }
};

struct Twice : mf::FlowSpec<Twice> {
  mf::Parameter<int> alpha{{.value = 1}};
  mf::Parameter<int> beta{{.value = 1, .name = "ALPHA"}};
  void start() {}
  static auto graph() { return mf::graph(mf::step<&Twice::start>()); }
};

struct Odd : mf::FlowSpec<Odd> {
  mf::Parameter<int> alpha{{.value = 1, .name = "with blank"}};
  void start() {}
  static auto graph() { return mf::graph(mf::step<&Odd::start>()); }
};

}  // namespace

int main(int argc, char** argv) {
  // The first word picks the flow.
  const std::string which = argc > 1 ? argv[1] : "";
  argv[1] = argv[0];
  if (which == "reserved") return mf::run<Reserved>(argc - 1, argv + 1);
  if (which == "twice") return mf::run<Twice>(argc - 1, argv + 1);
  return mf::run<Odd>(argc - 1, argv + 1);
}
