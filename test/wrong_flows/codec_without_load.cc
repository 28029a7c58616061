// expect: metaflow: the mf::Codec of this type is incomplete
// names: money Money
#include <metaflow/metaflow.h>

namespace mf = metaflow;

struct Money {
  explicit Money(int c) : cents(c) {}
  int cents;
};
template <>
struct metaflow::Codec<Money> {
  using Stored = int;
  static Stored save(const Money& m) { return m.cents; }
};
struct Sweep : mf::FlowSpec<Sweep> {
  Money money{0};
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
