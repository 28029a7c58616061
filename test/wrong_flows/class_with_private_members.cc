// expect: metaflow: this class is not a plain struct (it has a constructor, private members or virtual functions)
// names: points Point
#include <metaflow/metaflow.h>

#include <vector>

namespace mf = metaflow;

class Point {
 public:
  int get() const { return a; }

 private:
  int a = 0;
};
struct Sweep : mf::FlowSpec<Sweep> {
  std::vector<Point> points;
  void start() {}
  void end() {}
  static auto graph() { return mf::graph(mf::step<&Sweep::start>(mf::next<&Sweep::end>), mf::step<&Sweep::end>()); }
};

int main(int argc, char** argv) { return mf::run<Sweep>(argc, argv); }
