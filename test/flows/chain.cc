// A long chain of steps: most artifacts pass through untouched.
#include <metaflow/metaflow.h>

#include <string>
#include <vector>

namespace mf = metaflow;

namespace {

struct Chain : mf::FlowSpec<Chain> {
  int depth = 0;
  std::vector<std::string> way;
  mf::Lazy<std::string> lazy;     // set in start, read in end
  mf::Array<double> array;        // set in start, changed in s06; so large that it is mapped
  std::vector<double> untouched;  // set in start
  std::string note{"never changed"};

  void start() {
    lazy.edit() = std::string(2000, 'z');
    array = mf::Array<double>::zeros({100, 100});
    untouched.assign(1000, 0.5);
  }
  void s01() { step(); }
  void s02() { step(); }
  void s03() { step(); }
  void s04() { step(); }
  void s05() { step(); }
  void s06() {
    step();
    array.edit()[0] = 1;
  }
  void s07() { step(); }
  void s08() { step(); }
  void s09() { step(); }
  void s10() { step(); }
  void s11() { step(); }
  void s12() { step(); }
  void end() { note = lazy->substr(0, 3) + std::to_string(static_cast<int>(array[0])); }

  void step() {
    ++depth;
    way.push_back(mf::current().step_name);
  }

  static auto graph() {
    using C = Chain;
    return mf::graph(mf::step<&C::start>(mf::next<&C::s01>), mf::step<&C::s01>(mf::next<&C::s02>),
                     mf::step<&C::s02>(mf::next<&C::s03>), mf::step<&C::s03>(mf::next<&C::s04>),
                     mf::step<&C::s04>(mf::next<&C::s05>), mf::step<&C::s05>(mf::next<&C::s06>),
                     mf::step<&C::s06>(mf::next<&C::s07>), mf::step<&C::s07>(mf::next<&C::s08>),
                     mf::step<&C::s08>(mf::next<&C::s09>), mf::step<&C::s09>(mf::next<&C::s10>),
                     mf::step<&C::s10>(mf::next<&C::s11>), mf::step<&C::s11>(mf::next<&C::s12>),
                     mf::step<&C::s12>(mf::next<&C::end>), mf::step<&C::end>());
  }
};

}  // namespace

int main(int argc, char** argv) { return mf::run<Chain>(argc, argv); }
