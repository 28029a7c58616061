// expect: metaflow: a stored type needs a default constructor; give its members initial values
// names: money Money
#include <metaflow/metaflow.h>

#include <optional>
#include <vector>

namespace mf = metaflow;

struct Money {
  explicit Money(int c) : cents(c) {}
  int cents;
};
template <>
struct metaflow::Codec<Money> {
  using Stored = int;
  static Stored save(const Money& m) { return m.cents; }
  static Money load(Stored s) { return Money(s); }
};
struct Sweep : mf::FlowSpec<Sweep> {
  std::vector<Money> money;
  std::optional<Money> maybe;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
